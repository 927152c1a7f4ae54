//! What a node is started with.

use std::{fmt, path::PathBuf, sync::Arc};

use crate::{
    actors::{raft_system::RaftSystem, storage::FlushGate},
    config::Config,
    state_machine::{Answer, Reply, StateMachine},
    storage::{
        LogStore,
        memory::MemoryStore,
        snapshot::{SnapshotStore, memory::MemorySnapshotStore},
        vfs::Vfs,
        wal::WalOptions,
    },
    transport::{
        Transport,
        memory::MemoryNetwork,
        tcp::{TcpOptions, TcpTransport},
    },
    types::{Incarnation, LogId, NodeId},
};

/// Which threads a node uses beside the one it is started on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Placement {
    /// A thread for the log if it is durable, and one for the state machine then; none otherwise.
    #[default]
    Auto,
    /// No other thread: for stores and state machines that never block, and for simulation.
    Inline,
    /// A thread for the log and one for the state machine, whatever they are.
    Dedicated,
}

/// Where the log is kept.
pub(super) enum StoreChoice {
    Missing,
    Directory(PathBuf),
    Own(Box<dyn LogStore>),
    Memory,
}

/// Where snapshots are kept.
pub(super) enum SnapshotChoice {
    /// Beside the log: files in its directory, memory for one in memory, nowhere for a store of the user's.
    Auto,
    Own(Box<dyn SnapshotStore>),
}

/// How the node reaches the others.
pub(super) enum TransportChoice {
    Tcp,
    Own(Box<dyn Transport + Send>),
}

/// Stands for the state machine until one is given.
#[doc(hidden)]
#[derive(Debug)]
pub enum NoStateMachine {}

#[doc(hidden)]
#[derive(Debug, actix::Message, serde::Serialize, serde::Deserialize)]
#[rtype(result = "()")]
pub enum NoCommand {}

impl StateMachine for NoStateMachine {
    type Command = NoCommand;
    type Query = NoCommand;

    fn apply(&mut self, _: LogId, _: NoCommand) -> Reply<Self> {}

    fn query(&self, _: NoCommand) -> Answer<Self> {}
}

impl RaftSystem<NoStateMachine> {
    /// Begins to describe a node called `id`.
    ///
    /// It needs a state machine, a place for its log ([`RaftBuilder::data_dir`] or
    /// [`RaftBuilder::in_memory`]) and, unless it is alone, an address and its peers.
    pub fn builder(id: impl Into<NodeId>) -> RaftBuilder<NoStateMachine> {
        RaftBuilder {
            id: id.into(),
            config: Config::default(),
            store: StoreChoice::Missing,
            snapshots: SnapshotChoice::Auto,
            vfs: None,
            segment_bytes: WalOptions::default().segment_bytes,
            transport: TransportChoice::Tcp,
            tcp: None,
            advertise: None,
            peers: Vec::new(),
            join: None,
            placement: Placement::Auto,
            incarnation: None,
            flush_gate: None,
            seed: None,
            #[cfg(feature = "peers-json")]
            peers_json: false,
            machine: None,
        }
    }
}

/// A node to be. Every part has a safe default but the state machine and the place of the log.
pub struct RaftBuilder<S> {
    pub(super) id: NodeId,
    pub(super) config: Config,
    pub(super) store: StoreChoice,
    pub(super) snapshots: SnapshotChoice,
    pub(super) vfs: Option<Arc<dyn Vfs>>,
    pub(super) segment_bytes: u64,
    pub(super) transport: TransportChoice,
    pub(super) tcp: Option<TcpOptions>,
    pub(super) advertise: Option<String>,
    pub(super) peers: Vec<(NodeId, String)>,
    pub(super) join: Option<Vec<String>>,
    pub(super) placement: Placement,
    pub(super) incarnation: Option<Incarnation>,
    pub(super) flush_gate: Option<FlushGate>,
    pub(super) seed: Option<u64>,
    #[cfg(feature = "peers-json")]
    pub(super) peers_json: bool,
    pub(super) machine: Option<S>,
}

impl<S> RaftBuilder<S> {
    /// Keeps the log durably in this directory, made if it is missing.
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.store = StoreChoice::Directory(path.into());
        self
    }

    /// Keeps the log in memory: what a crash of this process loses, the cluster must still hold elsewhere,
    /// and the node comes back as another incarnation.
    pub fn in_memory(mut self) -> Self {
        self.store = StoreChoice::Memory;
        self
    }

    /// Keeps the log in a store of your own that passes [`storage::conformance`](crate::storage::conformance). Without a
    /// [`snapshot_store`](Self::snapshot_store) beside it there are no snapshots.
    pub fn log_store(mut self, store: impl LogStore) -> Self {
        self.store = StoreChoice::Own(Box::new(store));
        self
    }

    /// Keeps the snapshots in a store of your own that passes
    /// [`storage::snapshot::conformance`](crate::storage::snapshot::conformance). It must last at least as long as the
    /// log: once a snapshot is published, the log does not hold what it holds.
    pub fn snapshot_store(mut self, store: impl SnapshotStore) -> Self {
        self.snapshots = SnapshotChoice::Own(Box::new(store));
        self
    }

    /// Which life of [`log_store`](Self::log_store) this is: the same at every start as long as the store has lost
    /// nothing that was ever flushed, another one from then on. Without it each start is a new life, and a node that
    /// finds the log of an earlier one takes no part.
    pub fn incarnation(mut self, incarnation: Incarnation) -> Self {
        self.incarnation = Some(incarnation);
        self
    }

    /// Holds back a store that is placed inline, for simulations and tests of slow disks.
    pub fn flush_gate(mut self, gate: FlushGate) -> Self {
        self.flush_gate = Some(gate);
        self
    }

    /// How large the segments of [`data_dir`](Self::data_dir)'s log are, in bytes. Default 64 MiB.
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// Reaches the files of [`data_dir`](Self::data_dir) through this, for tests with a simulated disk.
    pub fn vfs(mut self, vfs: Arc<dyn Vfs>) -> Self {
        self.vfs = Some(vfs);
        self
    }

    /// Listens for other nodes at this `host:port`, in plain text: see [`tcp`](Self::tcp) for the limits.
    pub fn listen(self, address: impl Into<String>) -> Self {
        self.tcp(TcpOptions::new(address))
    }

    /// Tells other nodes this `host:port`, where it differs from the one listened on.
    pub fn advertise(mut self, address: impl Into<String>) -> Self {
        self.advertise = Some(address.into());
        self
    }

    /// The nodes that form the cluster together, this one among them, with the addresses they advertise.
    /// A node that has state already ignores the list.
    pub fn peers<I, A>(mut self, peers: impl IntoIterator<Item = (I, A)>) -> Self
    where
        I: Into<NodeId>,
        A: Into<String>,
    {
        self.peers = peers.into_iter().map(|(id, address)| (id.into(), address.into())).collect();
        self
    }

    /// Waits to be added to a cluster that exists ([`AddVoter`](crate::AddVoter), [`AddNonvoter`](crate::AddNonvoter)
    /// on one of its nodes) instead of forming one. The nodes at these addresses are asked which cluster that is, and
    /// the node lets no other one add it then; without an address the first that adds it is the one.
    /// A node that has state already ignores this. Not together with [`peers`](Self::peers).
    pub fn join<A: Into<String>>(mut self, addresses: impl IntoIterator<Item = A>) -> Self {
        self.join = Some(addresses.into_iter().map(Into::into).collect());
        self
    }

    /// Waits for a [`Bootstrap`](crate::Bootstrap) message, or to be added to a cluster, instead of forming one with
    /// [`peers`](Self::peers). A node that has state already ignores this.
    pub fn wait_for_bootstrap(mut self) -> Self {
        self.join = Some(Vec::new());
        self
    }

    /// Timing and limits.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Reaches the other nodes by this instead of TCP.
    pub fn transport(mut self, transport: impl Transport + Send) -> Self {
        self.transport = TransportChoice::Own(Box::new(transport));
        self
    }

    /// Listens as [`listen`](Self::listen) does, with limits and timing of your own.
    pub fn tcp(mut self, options: TcpOptions) -> Self {
        self.tcp = Some(options);
        self
    }

    /// Which threads the node uses.
    pub fn placement(mut self, placement: Placement) -> Self {
        self.placement = placement;
        self
    }

    /// Whether the start looks for a `peers.json` in the [`data_dir`](Self::data_dir), and if there is one first does what
    /// [`recover_cluster`](crate::recover_cluster) does, with the servers that it lists, and removes the file. Off by
    /// default. [`read_peers_json`](crate::read_peers_json) describes the file.
    #[cfg(feature = "peers-json")]
    pub fn recover_from_peers_json(mut self, recover: bool) -> Self {
        self.peers_json = recover;
        self
    }

    /// Where election timeouts are drawn from; the system's entropy by default.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// What the committed commands are applied to.
    pub fn state_machine<T: StateMachine>(self, machine: T) -> RaftBuilder<T> {
        RaftBuilder {
            id: self.id,
            config: self.config,
            store: self.store,
            snapshots: self.snapshots,
            vfs: self.vfs,
            segment_bytes: self.segment_bytes,
            transport: self.transport,
            tcp: self.tcp,
            advertise: self.advertise,
            peers: self.peers,
            join: self.join,
            placement: self.placement,
            incarnation: self.incarnation,
            flush_gate: self.flush_gate,
            seed: self.seed,
            #[cfg(feature = "peers-json")]
            peers_json: self.peers_json,
            machine: Some(machine),
        }
    }
}

impl<S: StateMachine> RaftBuilder<S> {
    pub(super) fn own_address(&self) -> String {
        let listed = self.peers.iter().find(|(id, _)| *id == self.id).map(|(_, address)| address);
        self.advertise
            .as_ref()
            .or(listed)
            .or(self.tcp.as_ref().map(|tcp| &tcp.listen))
            .cloned()
            .unwrap_or_else(|| format!("{}.local:0", self.id))
    }
}

impl TransportChoice {
    pub(super) fn open(self, options: Option<TcpOptions>) -> Box<dyn Transport> {
        match (self, options) {
            (Self::Own(transport), _) => transport,
            (Self::Tcp, Some(options)) => Box::new(TcpTransport::new(options)),
            (Self::Tcp, None) => {
                let network = MemoryNetwork::new();
                Box::new(network.transport("alone"))
            }
        }
    }
}

impl StoreChoice {
    pub(super) fn memory() -> Box<dyn LogStore> {
        Box::new(MemoryStore::new())
    }
}

impl SnapshotChoice {
    pub(super) fn memory() -> Box<dyn SnapshotStore> {
        Box::new(MemorySnapshotStore::new())
    }
}

impl<S> fmt::Debug for RaftBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RaftBuilder")
            .field("id", &self.id)
            .field("peers", &self.peers)
            .finish_non_exhaustive()
    }
}
