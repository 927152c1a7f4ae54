//! Nothing but a whole snapshot, sent without a gap in one term, ever takes effect.

use proptest::{collection::vec, prelude::*};

use super::*;

/// The snapshots that are sent in these tests.
const WHOLE: &[u8] = b"0123456789";

fn piece(restore: u64, from: usize, to: usize) -> RestorePiece<'static> {
    RestorePiece {
        restore,
        offset: from as u64,
        length: WHOLE.len() as u64,
        checksum: crc32c::crc32c(WHOLE),
        bytes: &WHOLE[from..to],
    }
}

/// What a log of these pieces comes to, with the term of each.
fn fold_all(pieces: &[(u64, RestorePiece<'_>)]) -> Vec<RestoreStep> {
    let mut rule = Restoration::default();
    pieces.iter().map(|(term, piece)| rule.fold(Term(*term), piece)).collect()
}

#[test]
fn pieces_in_order_make_a_snapshot_whole() {
    let steps = fold_all(&[(1, piece(1, 0, 4)), (1, piece(1, 4, 8)), (1, piece(1, 8, 10))]);
    assert_eq!(steps, [RestoreStep::Begun, RestoreStep::Extended, RestoreStep::Complete]);
    assert_eq!(fold_all(&[(1, piece(1, 0, 10))]), [RestoreStep::Complete]);
}

#[test]
fn an_empty_snapshot_is_whole_with_its_only_piece() {
    let empty = RestorePiece { restore: 1, offset: 0, length: 0, checksum: 0, bytes: &[] };
    assert_eq!(fold_all(&[(1, empty)]), [RestoreStep::Complete]);
}

#[test]
fn a_gap_ends_a_restore_for_good() {
    let steps = fold_all(&[(1, piece(1, 0, 4)), (1, piece(1, 6, 10)), (1, piece(1, 4, 10))]);
    assert_eq!(steps, [RestoreStep::Begun, RestoreStep::Unconnected, RestoreStep::Unconnected]);
}

#[test]
fn one_that_is_given_up_does_not_hold_up_snapshots() {
    let mut rule = Restoration::default();
    rule.fold(Term(1), &piece(1, 0, 4));
    assert!(rule.is_unfinished());
    assert_eq!(rule.fold(Term(1), &RestorePiece::given_up(1)), RestoreStep::Unconnected);
    assert!(!rule.is_unfinished());
}

#[test]
fn the_piece_of_another_restore_changes_nothing() {
    let steps = fold_all(&[(1, piece(1, 0, 4)), (1, piece(2, 4, 10)), (1, piece(1, 4, 10))]);
    assert_eq!(steps, [RestoreStep::Begun, RestoreStep::Unconnected, RestoreStep::Complete]);
}

#[test]
fn a_restore_that_begins_takes_the_place_of_an_unfinished_one() {
    let steps = fold_all(&[(1, piece(1, 0, 4)), (1, piece(2, 0, 10)), (1, piece(1, 4, 10))]);
    assert_eq!(steps, [RestoreStep::Begun, RestoreStep::Complete, RestoreStep::Unconnected]);
}

#[test]
fn another_term_ends_what_its_leader_did_not_finish() {
    let mut rule = Restoration::default();
    rule.fold(Term(1), &piece(1, 0, 4));
    rule.pass(Term(1));
    assert!(rule.is_unfinished());
    rule.pass(Term(2));
    assert!(!rule.is_unfinished());
    assert_eq!(fold_all(&[(1, piece(1, 0, 4)), (2, piece(1, 4, 10))])[1], RestoreStep::Unconnected);
}

#[test]
fn a_whole_that_is_not_what_was_sent_takes_no_effect() {
    let rotten = RestorePiece { bytes: b"0123x", ..piece(1, 0, 5) };
    let steps = fold_all(&[(1, rotten), (1, piece(1, 5, 10))]);
    assert_eq!(steps, [RestoreStep::Begun, RestoreStep::Damaged]);
    let other = RestorePiece { checksum: 1, ..piece(1, 4, 10) };
    assert_eq!(fold_all(&[(1, piece(1, 0, 4)), (1, other)])[1], RestoreStep::Unconnected);
}

#[test]
fn lengths_that_do_not_fit_are_no_part_of_a_snapshot() {
    let beyond = RestorePiece { length: 3, ..piece(1, 0, 4) };
    let overflowing = RestorePiece { offset: u64::MAX - 1, ..piece(1, 0, 4) };
    assert_eq!(fold_all(&[(1, beyond)]), [RestoreStep::Unconnected]);
    assert_eq!(fold_all(&[(1, piece(1, 0, 4)), (1, overflowing)])[1], RestoreStep::Unconnected);
}

/// Whether the piece at `at` makes a snapshot whole, by what the log holds before it alone.
fn is_whole(log: &[(u64, Option<RestorePiece<'_>>)], at: usize) -> bool {
    let (term, Some(last)) = log[at] else { return false };
    let first = (0..=at).rev().find(|n| log[*n].1.is_some_and(|piece| piece.offset == 0));
    let Some(first) = first else { return false };
    let run = &log[first..=at];
    let mut content = Vec::new();
    for (_, piece) in run {
        let Some(piece) = piece.filter(|piece| piece.restore == last.restore) else { continue };
        if piece.offset != content.len() as u64 || piece.length != last.length {
            return false;
        }
        content.extend_from_slice(piece.bytes);
    }
    run.iter().all(|(other, _)| *other == term) && content == WHOLE
}

/// Cuts of a snapshot, most of them such that the pieces meet.
fn log() -> impl Strategy<Value = Vec<(u64, Option<RestorePiece<'static>>)>> {
    let entry = (0..2_u64, 1..3_u64, 0..5_usize, 1..4_usize, 0..12_u8);
    vec(entry, 1..40).prop_map(|entries| {
        let mut term = 1;
        let entry = |(step, restore, from, length, kind): (u64, u64, usize, usize, u8)| {
            term += u64::from(step == 1 && kind == 0);
            let (from, to) = (from * 2, (from * 2 + length * 2).min(WHOLE.len()));
            let piece = match kind {
                0 | 1 => None,
                2 => Some(RestorePiece::given_up(restore)),
                3 => Some(piece(restore, 0, 4)),
                4 => Some(piece(restore, 4, 8)),
                5 | 6 => Some(piece(restore, 8, 10)),
                _ => Some(piece(restore, from, to)),
            };
            (term, piece)
        };
        entries.into_iter().map(entry).collect()
    })
}

proptest! {
    #[test]
    fn it_takes_effect_exactly_where_a_whole_one_ends(log in log()) {
        let mut rule = Restoration::default();
        for (at, (term, piece)) in log.iter().enumerate() {
            rule.pass(Term(*term));
            let complete = piece.is_some_and(|piece| rule.fold(Term(*term), &piece) == RestoreStep::Complete);
            prop_assert_eq!(complete, is_whole(&log, at), "at {} of {:?}", at, log);
        }
    }
}
