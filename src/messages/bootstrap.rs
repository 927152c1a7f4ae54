//! How a cluster begins. Go: `bootstrapCh`, `BootstrapCluster`.

use actix::Message;

use crate::{
    error::BootstrapError,
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

/// Form a cluster with these nodes: what [`peers`](crate::RaftBuilder::peers) on the builder does, for a node that was
/// started without a list ([`wait_for_bootstrap`](crate::RaftBuilder::wait_for_bootstrap)).
///
/// Every node of the list is to get the same one, by message or when it is started, and must be blank: the cluster is
/// there once each has seen that of all others. A list of this node alone forms a cluster at once, to which others are
/// added. A node that is restarted before has to be told again.
///
/// - *Go*: `Raft.BootstrapCluster`, `bootstrapCh`, where one node decides for all.
/// - *From → to*: client → RaftSystem.
/// - *Reply*: that it is begun; what comes of it is seen in [`Status::standing`](crate::Status::standing) and by
///   [`leader_elected`](crate::Raft::leader_elected). A second one is refused.
/// - *Loss*: the node goes on waiting.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), BootstrapError>")]
pub struct Bootstrap {
    pub(crate) peers: Vec<(NodeId, String)>,
}

impl Bootstrap {
    /// With these nodes, this one among them, and the addresses they advertise.
    pub fn new<I: Into<NodeId>, A: Into<String>>(peers: impl IntoIterator<Item = (I, A)>) -> Self {
        Self { peers: peers.into_iter().map(|(id, address)| (id.into(), address.into())).collect() }
    }
}

/// Greet these nodes until it is known what this one is to become.
///
/// - *Go*: `bootstrapCh`.
/// - *From → to*: RaftSystem → Consensus.
/// - *Follows*: a Bootstrapper begins, unless the node has become something meanwhile.
/// - *Loss*: never.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct FormCluster {
    pub(crate) peers: Vec<(NodeId, String)>,
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
