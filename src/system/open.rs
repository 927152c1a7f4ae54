//! What a node finds where it left off: its directory, its log, and the newest snapshot that the log goes on from.
//!
//! ```text
//! newest readable snapshot S, log behind base B up to E
//! B beyond S                       refuse to start: what lies between is nowhere
//! S names another cluster           refuse to start: it was copied here
//! the log holds S's last entry     the log stays as it is
//! S beyond E, or in another term   the log begins anew behind S, durably: a crash left that undone
//! ```

use std::{io, sync::Arc};

use futures::channel::oneshot;

use super::{
    builder::{Placement, RaftBuilder, SnapshotChoice, StoreChoice},
    surroundings::Surroundings,
};
use crate::{
    error::StartError,
    protocol::TermRuns,
    storage::{
        LogStore, Recovered, StorageError,
        data_dir::{DataDir, Identity},
        snapshot::{
            SnapshotDescription, SnapshotMeta, SnapshotSource, SnapshotStore, file::FileSnapshotStore,
        },
        staging::StagingArea,
        vfs::{RealVfs, Vfs},
        wal::{Wal, WalOptions},
    },
    types::{ClusterId, GroupId, Incarnation, LogId},
};

/// Stores that were opened and read.
pub(super) struct Opened {
    pub(super) store: Box<dyn LogStore>,
    pub(super) directory: Option<DataDir>,
    pub(super) recovered: Recovered,
    pub(super) incarnation: Incarnation,
    pub(super) cluster: ClusterId,
    pub(super) member: bool,
    /// Where snapshots of a user's are put together.
    pub(super) staging: StagingArea,
    /// None if there is no place to keep any.
    pub(super) snapshots: Option<Box<dyn SnapshotStore>>,
    /// The snapshot that the state machine begins with.
    pub(super) newest: Option<SnapshotMeta>,
    /// The same, to be read.
    pub(super) source: Option<Box<dyn SnapshotSource>>,
}

impl Opened {
    /// A log without its snapshots.
    pub(super) fn of_log(store: Box<dyn LogStore>, recovered: Recovered, identity: &Identity) -> Self {
        Self {
            store,
            recovered,
            incarnation: identity.incarnation,
            cluster: identity.cluster,
            member: identity.member,
            directory: None,
            staging: StagingArea::default(),
            snapshots: None,
            newest: None,
            source: None,
        }
    }
}

/// Opens and reads the stores, on another thread when that may take long.
pub(super) async fn open<S>(
    builder: &mut RaftBuilder<S>,
    surroundings: &mut Surroundings,
) -> Result<Opened, StartError> {
    let own_snapshots = match std::mem::replace(&mut builder.snapshots, SnapshotChoice::Auto) {
        SnapshotChoice::Auto => None,
        SnapshotChoice::Own(store) => Some(store),
    };
    if let (StoreChoice::Directory(path), Some(watch)) = (&builder.store, surroundings.watch.take()) {
        let vfs = builder.vfs.clone().unwrap_or_else(|| Arc::new(RealVfs));
        let incarnation = surroundings.incarnation;
        let directory = DataDir::open_with(vfs.clone(), path, &builder.id, || {
            incarnation.ok_or_else(|| io::Error::other("a watched node is told its incarnation"))
        })?;
        let snapshots = (watch.snapshots)(directory_snapshots(&vfs, &directory));
        let log = open_log(vfs, directory, builder.segment_bytes, false, watch.log)?;
        return Ok(find_snapshot(log, Some(snapshots))?);
    }
    let vfs = builder.vfs.clone();
    let inline = builder.placement == Placement::Inline;
    let choice = std::mem::replace(&mut builder.store, StoreChoice::Missing);
    let id = builder.id.clone();
    let segment_bytes = builder.segment_bytes;
    let incarnation = builder.incarnation;
    let opening = move || -> Result<Opened, StorageError> {
        match choice {
            StoreChoice::Missing => Err(StorageError::Misuse(
                "a node needs a place for its log: data_dir, in_memory or log_store".to_owned(),
            )),
            StoreChoice::Memory => {
                let snapshots = own_snapshots.unwrap_or_else(SnapshotChoice::memory);
                find_snapshot(open_volatile(StoreChoice::memory(), None)?, Some(snapshots))
            }
            // Snapshots that last shorter than the log would leave a log without a beginning.
            StoreChoice::Own(store) => find_snapshot(open_volatile(store, incarnation)?, own_snapshots),
            StoreChoice::Directory(path) => {
                let vfs: Arc<dyn Vfs> = vfs.unwrap_or_else(|| Arc::new(RealVfs));
                let directory = DataDir::open(vfs.clone(), &path, &id)?;
                let snapshots = own_snapshots.unwrap_or_else(|| directory_snapshots(&vfs, &directory));
                find_snapshot(
                    open_log(vfs, directory, segment_bytes, !inline, |store| store)?,
                    Some(snapshots),
                )
            }
        }
    };
    Ok(beside(format!("raftix-open-{}", builder.id), inline, opening).await??)
}

/// Does what may take long on a thread of its own, unless it is to be done `inline`.
pub(super) async fn beside<T: Send + 'static>(
    name: String,
    inline: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StartError> {
    if inline {
        return Ok(work());
    }
    let (report, done) = oneshot::channel();
    let thread = std::thread::Builder::new().name(name).spawn(move || drop(report.send(work())));
    thread.map_err(StartError::Thread)?;
    done.await.map_err(|_| StartError::Incomplete("opening the store panicked"))
}

fn directory_snapshots(vfs: &Arc<dyn Vfs>, directory: &DataDir) -> Box<dyn SnapshotStore> {
    Box::new(FileSnapshotStore::of_directory(vfs.clone(), directory))
}

/// Opens and reads the log of a directory; `watch` may stand before it.
fn open_log(
    vfs: Arc<dyn Vfs>,
    directory: DataDir,
    segment_bytes: u64,
    background: bool,
    watch: impl FnOnce(Box<dyn LogStore>) -> Box<dyn LogStore>,
) -> Result<Opened, StorageError> {
    let identity = directory.identity().clone();
    let options = WalOptions { segment_bytes, background, ..directory.wal_options(GroupId::ZERO) };
    let staging = StagingArea::directory(vfs.clone(), &directory.staging_dir())?;
    let mut store = watch(Box::new(Wal::open(vfs, &directory.wal_dir(), options)));
    let recovered = store.recover()?;
    Ok(Opened { directory: Some(directory), staging, ..Opened::of_log(store, recovered, &identity) })
}

/// A store without an identity of its own: unless its incarnation is known, it lasts as long as this start.
fn open_volatile(
    mut store: Box<dyn LogStore>,
    incarnation: Option<Incarnation>,
) -> Result<Opened, StorageError> {
    let recovered = store.recover()?;
    Ok(Opened {
        store,
        directory: None,
        recovered,
        incarnation: incarnation.unwrap_or_else(|| Incarnation(entropy())),
        cluster: ClusterId::NONE,
        member: false,
        staging: StagingArea::default(),
        snapshots: None,
        newest: None,
        source: None,
    })
}

pub(super) fn entropy() -> u128 {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the system has entropy");
    u128::from_le_bytes(bytes).max(1)
}

/// Finds the snapshot that the log goes on from, and completes what a crash left undone between the two.
pub(super) fn find_snapshot(
    mut opened: Opened,
    snapshots: Option<Box<dyn SnapshotStore>>,
) -> Result<Opened, StorageError> {
    let base = opened.recovered.base.last;
    let mut unreadable = Vec::new();
    if let Some(mut store) = snapshots {
        // One from before the base has a gap behind it (camunda#3573).
        let found = store.recover()?.into_iter().filter(|meta| meta.description.last.index >= base.index);
        for meta in found {
            match read_through(store.as_mut(), meta.description.last) {
                Ok(source) => {
                    check_cluster(opened.cluster, &meta.description)?;
                    reset_to(&mut opened, &meta)?;
                    (opened.newest, opened.source) = (Some(meta), Some(source));
                    break;
                }
                Err(error) => unreadable.push(error.to_string()),
            }
        }
        opened.snapshots = Some(store);
    }
    if opened.newest.is_none() && base != LogId::ZERO {
        return Err(StorageError::Corrupt {
            file: "the log".to_owned(),
            offset: 0,
            what: format!("it begins behind {base}, and no snapshot reaches there {}", unreadable.join("; ")),
            remedy: "Restore the snapshot from a copy, or remove this node from the cluster and add it again with \
                     an empty directory"
                .to_owned(),
        });
    }
    let passed = unreadable.into_iter().map(|why| format!("passed over a snapshot: {why}"));
    opened.recovered.repairs.extend(passed);
    Ok(opened)
}

/// A snapshot that was copied here from another cluster's node is no state of this one.
fn check_cluster(cluster: ClusterId, snapshot: &SnapshotDescription) -> Result<(), StorageError> {
    if cluster.is_none() || snapshot.cluster.is_none() || snapshot.cluster == cluster {
        return Ok(());
    }
    Err(StorageError::Foreign {
        path: format!("the snapshot up to {}", snapshot.last),
        owner: format!("cluster {}", snapshot.cluster),
        wanted: format!("cluster {cluster}"),
    })
}

/// Opens a snapshot of which every byte can be read: what is found out later than now finds a state half replaced.
fn read_through(store: &mut dyn SnapshotStore, last: LogId) -> Result<Box<dyn SnapshotSource>, StorageError> {
    let failed =
        |source| StorageError::Io { operation: "read", file: format!("the snapshot up to {last}"), source };
    let mut source = store.open(last)?;
    io::copy(&mut source, &mut io::sink()).map_err(failed)?;
    store.open(last)
}

/// Makes the log go on from a snapshot that it does not hold the last entry of.
fn reset_to(opened: &mut Opened, meta: &SnapshotMeta) -> Result<(), StorageError> {
    let last = meta.description.last;
    let recovered = &mut opened.recovered;
    let mut runs = TermRuns::new(recovered.base.last);
    runs.append(recovered.last.index, recovered.term_runs.iter().copied());
    if runs.term_at(last.index) == Some(last.term) {
        return Ok(());
    }
    let base = meta.description.log_base();
    opened.store.reset(&base)?;
    opened.store.flush()?;
    recovered.repairs.push(format!(
        "the log up to {} does not go on from the snapshot up to {last}: it begins anew there",
        recovered.last
    ));
    recovered.last = base.last;
    recovered.base = base;
    recovered.term_runs.clear();
    recovered.memberships.clear();
    Ok(())
}
