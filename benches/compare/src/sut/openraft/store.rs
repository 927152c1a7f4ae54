//! openraft's log and state machine: a tree of entries behind a lock, as in its own benchmark, and before a disk
//! where there is one.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    io,
    ops::RangeBounds,
    sync::{Arc, PoisonError, RwLock},
};

use futures::{Stream, TryStreamExt};
use openraft::{
    EntryPayload, OptionalSend,
    alias::{EntryOf, LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf, VoteOf},
    entry::RaftEntry,
    storage::{
        EntryResponder, IOFlushed, LogState, RaftLogReader, RaftLogStorage, RaftSnapshotBuilder,
        RaftStateMachine,
    },
};
use tokio::{sync::Mutex, task};

use super::{
    disk::{Disk, Opened},
    types::{Done, Types},
};
use crate::{
    digest::{Machine, Position},
    job::Job,
};

/// A node.
pub(crate) type Node = openraft::Raft<Types, Machines>;

type Entry = EntryOf<Types>;
type LogId = LogIdOf<Types>;

/// The log of one node.
#[derive(Debug, Default)]
pub(crate) struct LogStore {
    vote: RwLock<Option<VoteOf<Types>>>,
    entries: RwLock<BTreeMap<u64, Entry>>,
    purged: RwLock<Option<LogId>>,
    disk: Option<Disk>,
}

impl LogStore {
    /// The log on this disk, with everything that it holds.
    pub(super) fn open(opened: Opened) -> Self {
        let entries = opened.entries.into_iter().map(|entry| (entry.index(), entry)).collect();
        Self {
            vote: RwLock::new(opened.vote),
            entries: RwLock::new(entries),
            purged: RwLock::default(),
            disk: Some(opened.disk),
        }
    }
}

macro_rules! locked {
    ($lock:expr) => {
        $lock.unwrap_or_else(PoisonError::into_inner)
    };
}

impl RaftLogReader<Types> for Arc<LogStore> {
    async fn try_get_log_entries<R>(&mut self, range: R) -> Result<Vec<Entry>, io::Error>
    where
        R: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        Ok(locked!(self.entries.read()).range(range).map(|(_, entry)| entry.clone()).collect())
    }

    async fn read_vote(&mut self) -> Result<Option<VoteOf<Types>>, io::Error> {
        Ok(*locked!(self.vote.read()))
    }
}

impl RaftLogStorage<Types> for Arc<LogStore> {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        let purged = *locked!(self.purged.read());
        let last = locked!(self.entries.read()).last_key_value().map(|(_, entry)| entry.log_id());
        Ok(LogState { last_purged_log_id: purged, last_log_id: last.or(purged) })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &VoteOf<Types>) -> Result<(), io::Error> {
        *locked!(self.vote.write()) = Some(*vote);
        match &self.disk {
            None => Ok(()),
            Some(disk) => disk.save_vote(vote).await,
        }
    }

    async fn append<I>(&mut self, entries: I, flushed: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let Some(disk) = &self.disk else {
            locked!(self.entries.write()).extend(entries.into_iter().map(|entry| (entry.index(), entry)));
            flushed.io_completed(Ok(()));
            return Ok(());
        };
        let entries: Vec<Entry> = entries.into_iter().collect();
        let queued = disk.append(&entries, flushed);
        locked!(self.entries.write()).extend(entries.into_iter().map(|entry| (entry.index(), entry)));
        queued
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> Result<(), io::Error> {
        let first = last.map_or(0, |last| last.index + 1);
        locked!(self.entries.write()).split_off(&first);
        match &self.disk {
            None => Ok(()),
            Some(disk) => disk.truncate(first).await,
        }
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), io::Error> {
        *locked!(self.purged.write()) = Some(upto);
        let mut entries = locked!(self.entries.write());
        *entries = entries.split_off(&(upto.index + 1));
        Ok(())
    }
}

/// The state machine of one node; a clone is a handle to the same.
#[derive(Clone, Debug)]
pub(crate) struct Machines {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    machine: Machine,
    /// Whether the machine takes its time, and must not take that of others.
    blocks: bool,
    applied: Option<LogId>,
    membership: StoredMembershipOf<Types>,
}

impl Machines {
    pub(crate) fn new(job: &Job) -> Self {
        let shared = Shared {
            machine: Machine::new(job.recover, 0),
            blocks: job.apply_us > 0,
            applied: None,
            membership: StoredMembershipOf::<Types>::default(),
        };
        Self { shared: Arc::new(Mutex::new(shared)) }
    }

    pub(crate) async fn state(&self) -> Machine {
        self.shared.lock().await.machine
    }
}

impl Shared {
    fn apply(&mut self, entry: Entry) {
        let at = entry.log_id;
        self.applied = Some(at);
        match entry.payload {
            EntryPayload::Blank => {}
            EntryPayload::Normal(command) => {
                let term = at.committed_leader_id().term;
                let at = Position { index: at.index, term };
                if self.blocks {
                    task::block_in_place(|| self.machine.apply(at, &command.0));
                } else {
                    self.machine.apply(at, &command.0);
                }
            }
            EntryPayload::Membership(members) => {
                self.membership = StoredMembershipOf::<Types>::new(Some(at), members);
            }
        }
    }
}

fn no_snapshots() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "the comparison takes no snapshots")
}

impl RaftStateMachine<Types> for Machines {
    type SnapshotData = ();
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembershipOf<Types>), io::Error> {
        let shared = self.shared.lock().await;
        Ok((shared.applied, shared.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        // Once for all that came together, as the benchmark does.
        let mut shared = self.shared.lock().await;
        while let Some((entry, responder)) = entries.try_next().await? {
            shared.apply(entry);
            if let Some(responder) = responder {
                responder.send(Done);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn install_snapshot(&mut self, _: &SnapshotMetaOf<Types>, (): ()) -> Result<(), io::Error> {
        Err(no_snapshots())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<SnapshotOf<Types, ()>>, io::Error> {
        Ok(None)
    }
}

impl RaftSnapshotBuilder<Types> for Machines {
    type SnapshotData = ();

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<Types, ()>, io::Error> {
        Err(no_snapshots())
    }
}
