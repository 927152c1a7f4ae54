//! A state machine that reads encodings itself is given those of all commands.

use actix::Message;
use serde::{Deserialize, Serialize};

use super::*;
use crate::{
    state_machine::DecodeError,
    types::{EntryBuffer, LogIndex, SessionCommand, SessionId, SessionLimits, Term},
};

/// Add this to the text.
#[derive(Debug, Message, Serialize, Deserialize)]
#[rtype(result = "usize")]
struct Add(String);

#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Nothing;

/// Never needs a command of its own.
#[derive(Debug, Default)]
struct Borrowing(String);

impl StateMachine for Borrowing {
    type Command = Add;
    type Query = Nothing;

    fn apply(&mut self, _: LogId, _: Add) -> usize {
        panic!("the encoding was to be applied");
    }

    fn apply_encoded(&mut self, _: LogId, command: &[u8]) -> Result<usize, DecodeError> {
        self.0.push_str(rmp_serde::from_slice(command)?);
        Ok(self.0.len())
    }

    fn query(&self, _: Nothing) {}
}

/// What a machine says to entries of these kinds, and its text.
fn applied(entries: &[(EntryKind, Vec<u8>)]) -> (Vec<Option<usize>>, Option<Fatal>, String) {
    let mut buffer = EntryBuffer::default();
    entries.iter().for_each(|(kind, data)| buffer.push(*kind, data));
    let entries = Entries::from(buffer.seal(LogIndex(1), Term(1)));
    let mut step = FsmStep::new(Borrowing::default(), StagingArea::Memory);
    let (mut lengths, mut fatal) = (Vec::new(), None);
    step.perform(FsmWork::Mutate(FsmMutate { entries, replies: true }), &mut |done| match done {
        FsmCompletion::Applied(applied) => {
            lengths.extend(applied.replies.into_iter().map(|(_, replied)| match replied {
                Replied::Command(length) => Some(length),
                _ => None,
            }))
        }
        FsmCompletion::Failed(failed) => fatal = Some(failed.fatal),
        _ => panic!("nothing else was asked"),
    });
    (lengths, fatal, step.into_machine().0)
}

fn encoded(text: &str) -> Vec<u8> {
    rmp_serde::to_vec(&Add(text.to_owned())).expect("text is encoded")
}

#[test]
fn the_encoding_is_applied_whether_or_not_in_a_session() {
    let limits = SessionLimits { timeout_ms: 1_000, sessions_max: 8 };
    let in_session = |sequence| {
        let header = SessionCommand::header(SessionId::from(LogIndex(1)), sequence);
        (EntryKind::SessionCommand, [&header[..], &encoded("b")].concat())
    };
    let entries = [
        (EntryKind::OpenSession, limits.encode().to_vec()),
        (EntryKind::Command, encoded("a")),
        in_session(1),
        // The same again is answered and not applied.
        in_session(1),
        (EntryKind::Command, encoded("cd")),
    ];
    let (lengths, fatal, text) = applied(&entries);
    assert_eq!(lengths, [None, Some(1), Some(2), Some(2), Some(4)]);
    assert!(fatal.is_none(), "{fatal:?}");
    assert_eq!(text, "abcd");
}

#[test]
fn what_it_cannot_read_stops_the_node_at_its_index() {
    let number = rmp_serde::to_vec(&7).expect("a number is encoded");
    let entries = [
        (EntryKind::Command, encoded("a")),
        (EntryKind::Command, number),
        (EntryKind::Command, encoded("b")),
    ];
    let (_, fatal, text) = applied(&entries);
    assert!(matches!(fatal, Some(Fatal::Undecodable { index: LogIndex(2), .. })), "{fatal:?}");
    assert_eq!(text, "a");
}
