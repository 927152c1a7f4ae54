//! Requests of other nodes. Go: `rpcCh`.

use actix::Message;

use crate::{
    transport::{Responder, RpcError},
    types::{NodeId, Response, Term},
};

/// A request of another node: [`AppendEntries`](crate::types::AppendEntries),
/// [`Heartbeat`](crate::types::Heartbeat), [`RequestVote`](crate::types::RequestVote) and so on.
///
/// - *Go*: `rpcCh`.
/// - *From → to*: Transport → Consensus; forwarded client requests → RaftSystem.
/// - *Reply*: through the responder, on the connection it came from; dropping it says so too.
/// - *Loss*: the sender's deadline.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Rpc<T> {
    /// Who sent it, as the connection's handshake said.
    pub(crate) from: NodeId,
    pub(crate) request: T,
    pub(crate) responder: Responder,
}

/// A [`RequestVote`](crate::types::RequestVote) asked as a pre-vote.
#[derive(Debug)]
pub(crate) struct PreVote(pub(crate) crate::types::RequestVote);

/// A request for a vote or a promise of one was answered, or will not be.
///
/// - *Go*: the channel of `electSelf` and `preElectSelf`.
/// - *From → to*: Transport → Consensus.
/// - *Follows*: an election, a leadership, or a higher term.
/// - *Loss*: the candidate tries again when its time is up.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct VoteAnswered {
    pub(crate) from: NodeId,
    pub(crate) pre_vote: bool,
    pub(crate) asked: Term,
    pub(crate) result: Result<Response, RpcError>,
}
