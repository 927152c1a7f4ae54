//! How a cluster begins. Go: `bootstrapCh`, `BootstrapCluster`.

use actix::Message;

use crate::{
    protocol::Decision,
    transport::RpcError,
    types::{ClusterId, NodeId, Response},
};

/// A peer answered a greeting, or did not.
///
/// - *Go*: none; `BootstrapCluster` trusts the operator where this asks.
/// - *From → to*: Transport → Bootstrapper.
/// - *Follows*: [`Decided`], once it is known what this node is to become.
/// - *Loss*: greeted again at the next tick.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Greeted {
    pub(crate) peer: NodeId,
    /// Which greeting; an answer to one that was given up says nothing about now.
    pub(crate) greeting: u64,
    pub(crate) result: Result<Response, RpcError>,
}

/// A node at an address of the cluster to join answered a greeting, or did not.
///
/// - *Go*: none.
/// - *From → to*: Transport → Joiner.
/// - *Follows*: [`Decided`], if it belongs to a cluster.
/// - *Loss*: greeted again at a later tick.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct MemberGreeted {
    pub(crate) result: Result<Response, RpcError>,
}

/// What this blank node is to become.
///
/// - *Go*: `bootstrapCh`.
/// - *From → to*: Bootstrapper, Joiner → Consensus.
/// - *Follows*: entry 1 is written, or the node is quarantined, perhaps to wait until it is added.
/// - *Loss*: never.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Decided(pub(crate) Decision);

/// Write down which cluster this directory belongs to, and whether as a member.
///
/// - *Go*: none; a directory there has no identity.
/// - *From → to*: Consensus → Storage, behind the entry that says so.
/// - *Reply*: [`IdentitySaved`], when it is durable and everything queued before it is too.
/// - *Loss*: the node does not vote before it.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct SaveIdentity {
    pub(crate) cluster: ClusterId,
    pub(crate) member: bool,
}

/// The directory's identity is durable.
///
/// - *Go*: none.
/// - *From → to*: Storage → Consensus.
/// - *Follows*: a member votes and acknowledges from here on.
/// - *Loss*: never.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct IdentitySaved {
    pub(crate) cluster: ClusterId,
    pub(crate) member: bool,
}
