//! A cluster that has lost its majority for good, recovered from what one survivor holds (hashicorp/raft's
//! `RecoverCluster`).
//!
//! ```text
//! newest snapshot + every entry behind it   → the state machine: all of it counts as committed from now on
//! RECOVERY, durable                         no node starts from this directory from here on …
//! a snapshot of that, with the new membership, published
//! the log begins anew behind it; IDENTITY names the recovered cluster
//! RECOVERY removed, durable                 … to here; whatever happened between, the same call again finishes it
//! ```
//!
//! The recovered cluster has an id of its own, made of its membership: servers that are not listed and come back with
//! what they held before are refused like those of any other cluster, instead of overwriting what was written since.

use std::{path::PathBuf, sync::Arc};

use super::{
    RaftBuilder,
    builder::{SnapshotChoice, StoreChoice},
    open::{Opened, find_snapshot},
};
use crate::{
    actors::{
        fsm_applier::{FsmCompletion, FsmStep, FsmWork},
        snapshotter::{Cancelled, PersistWork, persist},
    },
    error::{Fatal, RecoverError},
    messages::{FsmMutate, FsmRestore, FsmSnapshotted},
    state_machine::{StateMachine, StateSnapshot},
    storage::{
        LogStore, Recovered,
        data_dir::{DataDir, Identity},
        snapshot::{SnapshotDescription, SnapshotStore, file::FileSnapshotStore},
        staging::StagingArea,
        vfs::{RealVfs, Vfs},
        wal::{Wal, WalOptions},
    },
    types::{
        ClusterId, Entries, GroupId, Incarnation, LogBase, LogId, Membership, MembershipError, NodeId,
        Server, Suffrage,
    },
};

#[cfg(feature = "peers-json")]
mod at_start;
#[cfg(feature = "peers-json")]
mod peers_json;
#[cfg(test)]
mod tests;

#[cfg(feature = "peers-json")]
pub(super) use at_start::recover_at_start;
#[cfg(feature = "peers-json")]
pub use peers_json::read_peers_json;

/// How much of the log is read at once, in bytes.
const READ_BYTES: usize = 1 << 20;

/// A server of the recovered cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveredServer {
    /// Its name.
    pub id: NodeId,
    /// Where it listens for other nodes: `host:port`.
    pub address: String,
    /// Whether it votes.
    pub suffrage: Suffrage,
}

impl RecoveredServer {
    /// One that votes.
    pub fn voter(id: impl Into<NodeId>, address: impl Into<String>) -> Self {
        Self { id: id.into(), address: address.into(), suffrage: Suffrage::Voter }
    }
}

/// What was recovered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Recovery {
    /// The last entry that is part of the state now, whether it was committed before or not.
    pub last: LogId,
    /// Who belongs to the recovered cluster.
    pub membership: Membership,
    /// Its id.
    pub cluster: ClusterId,
    /// What was damaged and left out, in words: acknowledged commands may be among it.
    pub repairs: Vec<String>,
}

/// Makes the servers given a cluster of their own, from what `node`'s directory holds. Offline: the node must not be
/// running, nor may any other of the old cluster. Blocks the calling thread.
///
/// This is for a cluster that has lost its majority and will not get it back. **It can lose what was acknowledged**:
/// what only the lost servers held is gone; and what this one holds becomes part of the state, acknowledged or not.
///
/// 1. Choose the survivor whose log reaches furthest (term first, then index), and recover it with itself as the only
///    server.
/// 2. Start it; it leads. Add the others, each with an empty directory.
///
/// Where several survivors are recovered, each with the same list, they find a leader only among those whose logs end
/// alike; one that goes on where another leads stops with a broken invariant, and is to be added with an empty
/// directory.
///
/// The builder describes the node as for [`start`](RaftBuilder::start): its id, its `data_dir`, and a state machine, which
/// is thrown away at the end. `servers` must name the node itself; the others are known from its log, with the lives of
/// their directories.
///
/// # Errors
/// Says what is missing, taken or damaged; see [`RecoverError`].
pub fn recover_cluster<S: StateMachine>(
    mut node: RaftBuilder<S>,
    servers: impl IntoIterator<Item = RecoveredServer>,
) -> Result<Recovery, RecoverError> {
    let machine = node.machine.take().ok_or(RecoverError::Incomplete("a recovery needs a state machine"))?;
    let servers: Vec<RecoveredServer> = servers.into_iter().collect();
    Place::of(&mut node)?.recover(machine, &servers).map(|(recovery, _)| recovery)
}

/// What of a builder's description counts here.
struct Place {
    id: NodeId,
    path: PathBuf,
    vfs: Arc<dyn Vfs>,
    segment_bytes: u64,
    snapshots: Option<Box<dyn SnapshotStore>>,
}

impl Place {
    fn of<S>(node: &mut RaftBuilder<S>) -> Result<Self, RecoverError> {
        let StoreChoice::Directory(path) = &node.store else {
            return Err(RecoverError::Incomplete("a cluster is recovered from a node's data_dir"));
        };
        let snapshots = match std::mem::replace(&mut node.snapshots, SnapshotChoice::Auto) {
            SnapshotChoice::Auto => None,
            SnapshotChoice::Own(store) => Some(store),
        };
        let vfs = node.vfs.clone().unwrap_or_else(|| Arc::new(RealVfs));
        Ok(Self {
            id: node.id.clone(),
            path: path.clone(),
            vfs,
            segment_bytes: node.segment_bytes,
            snapshots,
        })
    }

    fn no_state(&self) -> RecoverError {
        RecoverError::NoState { path: self.path.display().to_string() }
    }

    /// The recovery itself. Gives back the state machine with all of the state in it.
    fn recover<S: StateMachine>(
        mut self,
        machine: S,
        servers: &[RecoveredServer],
    ) -> Result<(Recovery, S), RecoverError> {
        check(servers)?;
        let mut directory =
            DataDir::open_existing(self.vfs.clone(), &self.path, &self.id)?.ok_or_else(|| self.no_state())?;
        let snapshots = self.snapshots.take().unwrap_or_else(|| {
            Box::new(FileSnapshotStore::new(self.vfs.clone(), &directory.snapshots_dir()))
        });
        // A directory that is half recovered may hold segments and snapshots of either cluster.
        let mut opened = find_snapshot(self.open_log(&directory, ClusterId::NONE)?, Some(snapshots))?;
        let last = opened.recovered.last;
        if last == LogId::ZERO {
            return Err(self.no_state());
        }
        let membership = Known::of(&directory, &opened).membership(servers)?;
        let mut step =
            FsmStep::new(machine, StagingArea::directory(self.vfs.clone(), &directory.staging_dir())?);
        let taken = replay(&mut opened, &mut step)?;
        directory.begin_recovery()?;
        let base = publish(&mut opened, taken, &membership)?;
        begin_anew(opened.store, &base, &opened.recovered)?;
        let cluster = ClusterId::of(&membership.encode());
        directory.join_recovered(cluster)?;
        self.verify(&directory, &base)?;
        directory.finish_recovery()?;
        let Recovered { repairs, .. } = opened.recovered;
        Ok((Recovery { last, membership, cluster, repairs }, step.into_machine()))
    }

    fn open_log(&self, directory: &DataDir, cluster: ClusterId) -> Result<Opened, RecoverError> {
        let options = WalOptions {
            segment_bytes: self.segment_bytes,
            background: false,
            cluster,
            ..directory.wal_options(GroupId::ZERO)
        };
        let mut store = Wal::open(self.vfs.clone(), &directory.wal_dir(), options);
        let recovered = store.recover()?;
        Ok(Opened { cluster, ..Opened::of_log(Box::new(store), recovered, directory.identity()) })
    }

    /// Opens the log as the node will.
    fn verify(&self, directory: &DataDir, base: &LogBase) -> Result<(), RecoverError> {
        let recovered = self.open_log(directory, directory.identity().cluster)?.recovered;
        if recovered.base == *base && recovered.last == base.last {
            return Ok(());
        }
        let what = format!(
            "the log goes on from {} to {}, not from {}",
            recovered.base.last, recovered.last, base.last
        );
        Err(RecoverError::StateMachine(Fatal::Invariant(what)))
    }
}

/// Whether the servers make a membership, whatever their incarnations.
fn check(servers: &[RecoveredServer]) -> Result<(), MembershipError> {
    let blank = |server: &RecoveredServer| server.with(Incarnation::NONE);
    Membership::new(servers.iter().map(blank)).map(drop)
}

impl RecoveredServer {
    fn with(&self, incarnation: Incarnation) -> Server {
        let Self { id, address, suffrage } = self.clone();
        Server { id, address, suffrage, incarnation }
    }
}

/// The servers that a directory knows.
struct Known<'a> {
    own: &'a Identity,
    /// Newest first.
    memberships: Vec<&'a Membership>,
}

impl<'a> Known<'a> {
    fn of(directory: &'a DataDir, opened: &'a Opened) -> Self {
        let newest = opened.newest.as_ref().map(|meta| &meta.description.membership);
        let entries = opened.recovered.memberships.iter().rev().map(|(_, membership)| membership);
        let memberships = entries.chain(newest).chain([&opened.recovered.base.membership]).collect();
        Self { own: directory.identity(), memberships }
    }

    /// The servers with the lives of their directories.
    fn membership(&self, servers: &[RecoveredServer]) -> Result<Membership, RecoverError> {
        let servers = servers.iter().map(|server| self.resolve(server)).collect::<Result<Vec<_>, _>>()?;
        let membership = Membership::new(servers)?;
        if membership.get(&self.own.node).is_none() {
            return Err(RecoverError::NotListed(self.own.node.clone()));
        }
        Ok(membership)
    }

    /// An old list names a server by its address alone.
    fn resolve(&self, server: &RecoveredServer) -> Result<Server, RecoverError> {
        if server.id == self.own.node {
            return Ok(server.with(self.own.incarnation));
        }
        let find = |is_it: &dyn Fn(&&Server) -> bool| {
            self.memberships.iter().find_map(|membership| membership.servers().iter().find(is_it))
        };
        let by_address = || {
            let named_so = server.id.as_str() == server.address;
            named_so.then(|| find(&|known| known.address == server.address)).flatten()
        };
        let known = find(&|known| known.id == server.id).or_else(by_address);
        let known = known.ok_or_else(|| RecoverError::UnknownServer(server.id.clone()))?;
        let incarnation = if known.id == self.own.node { self.own.incarnation } else { known.incarnation };
        Ok(Server { id: known.id.clone(), incarnation, ..server.with(incarnation) })
    }
}

/// The state at the end of the log.
struct Taken {
    last: LogId,
    sessions: Vec<u8>,
    state: Box<dyn StateSnapshot>,
}

/// Brings the state machine to the end of the log, and takes its state there.
fn replay<S: StateMachine>(opened: &mut Opened, step: &mut FsmStep<S>) -> Result<Taken, RecoverError> {
    let from = opened.newest.as_ref().map_or(LogId::ZERO, |meta| meta.description.last);
    let last = opened.recovered.last;
    if let Some(source) = opened.source.take() {
        perform(step, FsmWork::Restore(FsmRestore { source, state: true }))?;
    }
    let mut next = from.index.next();
    while next <= last.index {
        let mut entries = Entries::none();
        opened.store.read(next, last.index, READ_BYTES)?.into_iter().for_each(|batch| entries.push(batch));
        next = entries.last().map_or(next, |read| read.next());
        perform(step, FsmWork::Mutate(FsmMutate { entries, replies: false }))?;
    }
    step.give_up_restore();
    let taken = perform(step, FsmWork::Snapshot)?.filter(|taken| taken.at == last);
    let what = format!("the state does not reach the end of the log at {last}");
    let taken = taken.ok_or(RecoverError::StateMachine(Fatal::Invariant(what)))?;
    match taken.state {
        Ok(state) => Ok(Taken { last, sessions: taken.sessions, state }),
        Err(_) => Err(RecoverError::Snapshot { last, reason: "the state machine has none".to_owned() }),
    }
}

/// Does one thing with the state machine. What it gives if it was asked for its state.
fn perform<S: StateMachine>(
    step: &mut FsmStep<S>,
    work: FsmWork<S>,
) -> Result<Option<FsmSnapshotted>, RecoverError> {
    let (mut taken, mut failed) = (None, None);
    step.perform(work, &mut |completion| match completion {
        FsmCompletion::Snapshotted(state) => taken = Some(state),
        FsmCompletion::Failed(why) => failed = Some(why.fatal),
        // Nobody gives it room meanwhile.
        FsmCompletion::Room(room) => failed = room.full.map(Fatal::Storage),
        FsmCompletion::Applied(_)
        | FsmCompletion::Queried(_)
        | FsmCompletion::Restored(_)
        | FsmCompletion::Replaced(_) => {}
    });
    match failed {
        Some(fatal) => Err(RecoverError::StateMachine(fatal)),
        None => Ok(taken),
    }
}

/// Publishes the state with the membership of the recovered cluster.
fn publish(opened: &mut Opened, taken: Taken, membership: &Membership) -> Result<LogBase, RecoverError> {
    let Taken { last, sessions, state } = taken;
    let store = opened.snapshots.as_mut().expect("a recovery has a place for snapshots");
    let (membership, cluster) = (membership.clone(), ClusterId::of(&membership.encode()));
    let description = SnapshotDescription { last, membership, membership_index: last.index, cluster };
    let base = description.log_base();
    let work =
        PersistWork { sink: store.create(description)?, sessions, state, cancelled: Cancelled::default() };
    persist(work).map_err(|error| RecoverError::Snapshot { last, reason: error.to_string() })?;
    Ok(base)
}

/// Makes the log go on behind the snapshot, without a segment of before.
fn begin_anew(
    mut store: Box<dyn LogStore>,
    base: &LogBase,
    recovered: &Recovered,
) -> Result<(), RecoverError> {
    store.reset(base)?;
    store.flush()?;
    // Segments that are no longer needed go with the flush behind the one that made them so.
    store.save_vote(&recovered.vote)?;
    store.flush()?;
    Ok(())
}
