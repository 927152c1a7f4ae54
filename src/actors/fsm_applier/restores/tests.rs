//! A snapshot in pieces is one write of everything, however the log is handed on.

use std::path::Path;

use actix::Message;
use proptest::{collection::vec, prelude::*};
use serde::{Deserialize, Serialize};

use super::*;
use crate::{
    actors::fsm_applier::{FsmCompletion, FsmWork},
    messages::{FsmMutate, NoState},
    protocol::RestoreStep,
    sim::vfs::{Effect, Fault, Operation, SimVfs},
    state_machine::StateSnapshot,
    storage::staging::StagingArea,
    types::{Entries, EntryBatch, EntryBuffer, EntryKind, LogId, LogIndex, Term},
};

/// Add this to the text.
#[derive(Debug, Message, Serialize, Deserialize)]
#[rtype(result = "()")]
struct Add(String);

#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Nothing;

#[derive(Debug, Default)]
struct Text(String);

impl StateMachine for Text {
    type Command = Add;
    type Query = Nothing;

    fn apply(&mut self, _: LogId, Add(text): Add) {
        self.0.push_str(&text);
    }

    fn query(&self, _: Nothing) {}

    fn snapshot(&self) -> Option<Box<dyn StateSnapshot>> {
        Some(Box::new(Nothing))
    }

    fn restore(&mut self, reader: &mut dyn io::Read) -> io::Result<()> {
        self.0.clear();
        reader.read_to_string(&mut self.0)?;
        if self.0 == "unreadable" { Err(io::Error::other("no text")) } else { Ok(()) }
    }
}

impl StateSnapshot for Nothing {
    fn persist(self: Box<Self>, _: &mut dyn io::Write) -> io::Result<()> {
        Ok(())
    }
}

/// An entry: a command, or a piece of `whole`.
#[derive(Clone, Copy, Debug)]
enum Item {
    Add(&'static str),
    Piece { restore: u64, whole: &'static str, from: usize, to: usize },
}

fn piece(whole: &'static str, from: usize, to: usize) -> Item {
    Item::Piece { restore: 1, whole, from, to }
}

impl Item {
    fn push(self, buffer: &mut EntryBuffer) {
        match self {
            Self::Add(text) => {
                buffer.push(EntryKind::Command, &rmp_serde::to_vec(&Add(text.to_owned())).unwrap())
            }
            Self::Piece { restore, whole, from, to } => {
                let whole = whole.as_bytes();
                let checksum = crc32c::crc32c(whole);
                let (offset, length) = (from as u64, whole.len() as u64);
                let piece = RestorePiece { restore, offset, length, checksum, bytes: &whole[from..to] };
                buffer.push(EntryKind::RestorePiece, &[&piece.header()[..], piece.bytes].concat());
            }
        }
    }
}

/// What was said of one log.
#[derive(Debug, Default, PartialEq)]
struct Said {
    steps: Vec<(u64, RestoreStep)>,
    replaced: Vec<u64>,
    failed: Option<String>,
    /// Whether there is room, each time that was told.
    room: Vec<bool>,
    /// The last entry that is applied.
    applied: u64,
    /// How many bytes of entries are done with.
    bytes: usize,
}

/// A step that is given a log in runs of some length, and what it said.
struct Applying {
    step: FsmStep<Text>,
    next: u64,
    /// How many bytes of entries it was given.
    handed: usize,
    said: Said,
}

impl Applying {
    fn new(staging: StagingArea) -> Self {
        Self { step: FsmStep::new(Text::default(), staging), next: 1, handed: 0, said: Said::default() }
    }

    fn hand(&mut self, term: u64, items: &[Item]) {
        let mut buffer = EntryBuffer::default();
        items.iter().for_each(|item| item.push(&mut buffer));
        let entries = Entries::from(buffer.seal(LogIndex(self.next), Term(term)));
        self.next += items.len() as u64;
        self.handed += entries.batches().iter().map(EntryBatch::len).sum::<usize>();
        self.perform(FsmWork::Mutate(FsmMutate { entries, replies: true }));
    }

    fn retry(&mut self) {
        self.perform(FsmWork::Retry);
    }

    fn perform(&mut self, work: FsmWork<Text>) {
        let said = &mut self.said;
        self.step.perform(work, &mut |done| match done {
            FsmCompletion::Applied(applied) => {
                said.applied = applied.last.index.0;
                said.bytes += applied.bytes;
                said.steps.extend(applied.replies.into_iter().filter_map(|(at, replied)| match replied {
                    Replied::Piece(step) => Some((at.index.0, step)),
                    _ => None,
                }));
            }
            FsmCompletion::Replaced(replaced) => said.replaced.push(replaced.at.index.0),
            FsmCompletion::Room(room) => said.room.push(room.full.is_none()),
            FsmCompletion::Failed(failed) => said.failed = Some(failed.fatal.to_string()),
            _ => panic!("nothing else was asked"),
        });
    }

    fn text(&self) -> &str {
        &self.step.machine.0
    }

    /// Why there is no snapshot, if so.
    fn no_snapshot(&mut self) -> Option<NoState> {
        let mut why = None;
        self.step.perform(FsmWork::Snapshot, &mut |done| {
            if let FsmCompletion::Snapshotted(taken) = done {
                why = taken.state.err();
            }
        });
        why
    }
}

fn on_disk() -> (SimVfs, StagingArea) {
    let disk = SimVfs::new();
    let area = StagingArea::directory(Arc::new(disk.clone()), Path::new("restore")).unwrap();
    (disk, area)
}

#[test]
fn it_is_the_state_from_its_last_piece_on_and_leaves_no_file() {
    let (disk, area) = on_disk();
    let mut applying = Applying::new(area);
    applying.hand(1, &[Item::Add("a"), piece("state", 0, 2), Item::Add("b")]);
    assert_eq!((applying.text(), disk.files().len()), ("ab", 1));
    assert_eq!(applying.no_snapshot(), Some(NoState::Restoring));
    applying.hand(1, &[piece("state", 2, 5), Item::Add("+c")]);
    assert_eq!((applying.text(), disk.files().len()), ("state+c", 0));
    assert_eq!((applying.no_snapshot(), &applying.said.replaced[..]), (None, &[4][..]));
}

#[test]
fn an_unfinished_one_goes_with_its_term_and_so_does_its_file() {
    let (disk, area) = on_disk();
    let mut applying = Applying::new(area);
    applying.hand(1, &[piece("state", 0, 2)]);
    applying.hand(2, &[Item::Add("a")]);
    assert_eq!((applying.text(), disk.files().len()), ("a", 0));
    assert_eq!(applying.no_snapshot(), None);
}

#[test]
fn one_that_cannot_be_restored_stops_the_node() {
    let mut applying = Applying::new(StagingArea::Memory);
    applying.hand(1, &[piece("unreadable", 0, 10)]);
    let failed = applying.said.failed.unwrap();
    assert_eq!(failed, "the snapshot up to 1@1 cannot be restored: no text");
}

#[test]
fn a_piece_without_room_waits_for_it_and_everything_behind_it_too() {
    let (disk, area) = on_disk();
    let mut applying = Applying::new(area);
    applying.hand(1, &[Item::Add("a"), piece("state", 0, 2)]);
    disk.set_capacity(Some(disk.used()));
    applying.hand(1, &[Item::Add("b"), piece("state", 2, 5), Item::Add("+c")]);
    applying.hand(1, &[Item::Add("+d")]);
    assert_eq!((applying.text(), applying.said.applied), ("ab", 3), "up to the piece");
    assert_eq!(applying.no_snapshot(), Some(NoState::Restoring));
    applying.retry();
    assert_eq!((applying.text(), &applying.said.room[..]), ("ab", &[false][..]), "told once");
    disk.set_capacity(None);
    applying.retry();
    assert_eq!((applying.text(), applying.said.applied, disk.files().len()), ("state+c+d", 6, 0));
    assert_eq!((&applying.said.room[..], &applying.said.replaced[..]), (&[false, true][..], &[4][..]));
    assert_eq!(applying.said.bytes, applying.handed, "all room of the hand-off is given back");
    assert_eq!(applying.no_snapshot(), None);
    applying.retry();
    applying.hand(1, &[Item::Add("+e")]);
    assert_eq!((applying.text(), &applying.said.failed), ("state+c+d+e", &None));
}

#[test]
fn a_first_piece_without_room_is_not_begun_and_no_snapshot_stands_for_it() {
    let (disk, area) = on_disk();
    disk.set_capacity(Some(0));
    let mut applying = Applying::new(area);
    applying.hand(1, &[piece("state", 0, 2), piece("state", 2, 5)]);
    applying.retry();
    assert_eq!((applying.said.applied, applying.no_snapshot()), (0, Some(NoState::Restoring)));
    disk.set_capacity(None);
    applying.retry();
    assert_eq!((applying.text(), applying.said.applied), ("state", 2));
}

#[test]
fn another_error_of_the_disk_stops_the_node() {
    let (disk, area) = on_disk();
    let mut applying = Applying::new(area);
    applying.hand(1, &[piece("state", 0, 2)]);
    disk.inject(Fault::at(Operation::Write, Effect::Fail(io::ErrorKind::Other)));
    applying.hand(1, &[piece("state", 2, 5), Item::Add("a")]);
    assert!(applying.said.failed.is_some() && applying.text().is_empty(), "{}", applying.text());
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    const WHOLE: &str = "restored";
    let item = prop_oneof![
        2 => Just(Item::Add("x")),
        2 => (1..3_u64).prop_map(|restore| Item::Piece { restore, whole: WHOLE, from: 0, to: 4 }),
        2 => (1..3_u64).prop_map(|restore| Item::Piece { restore, whole: WHOLE, from: 4, to: 8 }),
        1 => (1..3_u64, 0..8_usize).prop_map(|(restore, from)| Item::Piece { restore, whole: WHOLE, from, to: 8 }),
    ];
    vec(item, 1..30)
}

proptest! {
    #[test]
    fn how_the_log_is_handed_on_changes_nothing(items in items(), cuts in vec(1..5_usize, 30)) {
        let mut whole = Applying::new(StagingArea::Memory);
        whole.hand(1, &items);
        let mut parts = Applying::new(on_disk().1);
        let mut rest = &items[..];
        for cut in cuts {
            let (part, behind) = rest.split_at(cut.min(rest.len()));
            rest = behind;
            if !part.is_empty() {
                parts.hand(1, part);
            }
        }
        prop_assert_eq!(whole.text(), parts.text());
        prop_assert_eq!(&whole.said.steps, &parts.said.steps);
        prop_assert_eq!(whole.no_snapshot(), parts.no_snapshot());
    }
}
