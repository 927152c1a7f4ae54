//! What the receiver makes of a message when its frame is written and read by the codec of the wire, with
//! some bits flipped in between if that is its fate.

use std::collections::{BTreeSet, VecDeque};

use bytes::BytesMut;
use fastrand::Rng;

use crate::{
    transport::RpcError,
    types::{Request, Response},
    wire::{self, FrameError, FrameKind, FrameLimits, Message, Outgoing},
};

/// How many bits flip at most.
const FLIPS_MAX: usize = 8;

/// A request as it arrives; none if what arrives is no frame that a node accepts.
///
/// # Errors
/// It is too large to be sent.
pub(super) fn request(
    request: &Request,
    number: u64,
    damage: Option<Rng>,
) -> Result<Option<Request>, FrameError> {
    let mut out = Outgoing::new();
    wire::encode_request(&mut out, number, request, FrameLimits::default())?;
    Ok(match read(out, number, damage) {
        Some((_, Message::Request(request))) => Some(request),
        _ => None,
    })
}

/// An answer as it arrives. One that is too large becomes the notice that there is none, as over TCP.
pub(super) fn answer(
    answer: &Result<Response, RpcError>,
    number: u64,
    damage: Option<Rng>,
) -> Option<Result<Response, RpcError>> {
    let mut out = Outgoing::new();
    let mut kind = FrameKind::Dropped;
    if let Ok(response) = answer
        && wire::encode_response(&mut out, number, response, FrameLimits::default()).is_ok()
    {
        kind = FrameKind::of_response(response);
    } else {
        wire::encode_dropped(&mut out, number);
    }
    match read(out, number, damage)? {
        (_, Message::Dropped) => Some(Err(RpcError::Dropped)),
        (read, Message::Response(response)) if read == kind => Some(Ok(response)),
        _ => None,
    }
}

/// Reads what was written, after the damage.
///
/// # Panics
/// If the codec does not read what it wrote and nothing has damaged.
fn read(mut out: Outgoing, number: u64, damage: Option<Rng>) -> Option<(FrameKind, Message)> {
    let mut pieces = VecDeque::new();
    let mut frame = BytesMut::with_capacity(out.len());
    out.drain_into(&mut pieces);
    pieces.iter().for_each(|piece| frame.extend_from_slice(piece));
    let is_whole = damage.is_none();
    damage.into_iter().for_each(|rng| flip(&mut frame, rng));
    let decoded = wire::decode(&mut frame, FrameLimits::default());
    assert!(
        !is_whole || matches!(decoded, Ok(Some(_))) && frame.is_empty(),
        "the codec does not read what it wrote: {decoded:?}"
    );
    match decoded {
        // A frame that seems shorter or longer than it is breaks what comes behind it.
        Ok(Some((read, kind, message))) if read == number && frame.is_empty() => Some((kind, message)),
        _ => None,
    }
}

/// Flips 1 to [`FLIPS_MAX`] bits, each once.
fn flip(frame: &mut [u8], mut rng: Rng) {
    let flips = rng.usize(1..=FLIPS_MAX);
    let mut bits = BTreeSet::new();
    while bits.len() < flips {
        bits.insert(rng.usize(0..frame.len() * 8));
    }
    bits.iter().for_each(|bit| frame[bit / 8] ^= 1 << (bit % 8));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{
        AppendEntries, Entries, EntryBuffer, EntryKind, ForwardApply, ForwardReadIndexResponse, LogId,
        LogIndex, Term, TimeoutNow,
    };

    fn append(size: usize) -> Request {
        let mut buffer = EntryBuffer::default();
        (0..3).for_each(|_| buffer.push(EntryKind::Command, &vec![7; size]));
        Request::AppendEntries(AppendEntries {
            term: Term(3),
            leader: "n1".into(),
            prev: LogId::new(Term(2), LogIndex(4)),
            commit: LogIndex(4),
            entries: Entries::from(buffer.seal(LogIndex(5), Term(3))),
        })
    }

    fn answered(number: u64) -> Response {
        Response::ForwardReadIndex(ForwardReadIndexResponse { result: Ok(LogIndex(number)) })
    }

    #[test]
    fn what_nothing_damages_arrives_as_it_was() {
        for asked in [append(100), Request::TimeoutNow(TimeoutNow { term: Term(1), leader: "n1".into() })] {
            let read = request(&asked, 5, None).unwrap().unwrap();
            assert_eq!(format!("{read:?}"), format!("{asked:?}"));
        }
        let read = answer(&Ok(answered(7)), 5, None).unwrap().unwrap();
        assert_eq!(format!("{read:?}"), format!("{:?}", answered(7)));
        assert!(matches!(answer(&Err(RpcError::Dropped), 5, None), Some(Err(RpcError::Dropped))));
    }

    #[test]
    fn a_damaged_frame_is_refused() {
        // 24 bytes of data leave no padding behind an entry, which no checksum covers.
        let (asked, told) = (append(24), Ok(answered(7)));
        for seed in 0..2000 {
            let damage = Some(Rng::with_seed(seed));
            assert!(request(&asked, 5, damage.clone()).unwrap().is_none(), "seed {seed}");
            assert!(answer(&told, 5, damage).is_none(), "seed {seed}");
        }
    }

    #[test]
    fn what_is_too_large_is_not_sent_or_not_answered() {
        let commands = vec![vec![0; 9 << 20].into()];
        let asked = Request::ForwardApply(ForwardApply { commands, timeout_ms: 1 });
        assert!(matches!(request(&asked, 5, None), Err(FrameError::TooLarge { .. })));
    }
}
