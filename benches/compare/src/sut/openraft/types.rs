//! The types that openraft is used with.

use ::openraft::{OptionalSend, RaftTypeConfig, vote::RaftLeaderId};
use bytes::Bytes;

/// The types of the comparison: a command of bytes, an empty answer. Everything else as its own benchmark has it; the
/// responder in particular, of which `declare_raft_types!` would take one with two channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Types;

impl RaftTypeConfig for Types {
    type D = Command;
    type R = Done;
    type NodeId = u64;
    type Node = ();
    type Term = u64;
    type LeaderId = ::openraft::impls::leader_id_adv::LeaderId<u64, u64>;
    type Vote = ::openraft::impls::Vote<Self::LeaderId>;
    type Payload = ::openraft::EntryPayload<Command, u64, ()>;
    type Entry = ::openraft::Entry<<Self::LeaderId as RaftLeaderId>::Committed, Self::Payload>;
    type Responder<T>
        = ::openraft::impls::OneshotResponder<Self, T>
    where
        T: OptionalSend + 'static;
    type Batch<T>
        = ::openraft::impls::InlineBatch<T>
    where
        T: OptionalSend + 'static;
    type AsyncRuntime = ::openraft::impls::TokioRuntime;
    type ErrorSource = ::openraft::AnyError;
}

/// A command.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Command(pub(crate) Bytes);

impl std::fmt::Display for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// The answer: the position of the entry comes with it anyway.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Done;

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("done")
    }
}
