//! openraft on a disk: Raftix's own write-ahead log behind an I/O thread that takes everything queued and
//! flushes once, so that the difference to Raftix is the protocol's and not the log's.

use std::{io, path::Path, sync::Arc, thread};

use openraft::{alias::EntryOf, alias::VoteOf, entry::RaftEntry, storage::IOFlushed};
use raftix::{
    storage::{
        LogStore, Recovered,
        vfs::RealVfs,
        wal::{Wal, WalOptions},
    },
    types::{EntryBatch, EntryBuffer, EntryKind, LogIndex, NodeId, Term, Vote},
};
use tokio::sync::{mpsc, oneshot};

use super::types::Types;

type Entry = EntryOf<Types>;

/// How many bytes of entries are read at once when a log is opened.
const READ_BYTES: usize = 8 << 20;

/// What the I/O thread is to do.
enum Step {
    Append(Vec<EntryBatch>, IOFlushed<Types>),
    Vote(Vote, oneshot::Sender<io::Result<()>>),
    Truncate(LogIndex, oneshot::Sender<io::Result<()>>),
}

/// The way to the I/O thread.
#[derive(Clone, Debug)]
pub(super) struct Disk(mpsc::UnboundedSender<Step>);

/// What a log held.
pub(super) struct Opened {
    pub(super) disk: Disk,
    pub(super) vote: Option<VoteOf<Types>>,
    pub(super) entries: Vec<Entry>,
}

impl Disk {
    pub(super) fn open(directory: &Path) -> Result<Opened, String> {
        Self::start(Wal::open(Arc::new(RealVfs), directory, WalOptions::default()))
    }

    /// Reads what a store holds and gives it a thread.
    pub(super) fn start(mut store: impl LogStore) -> Result<Opened, String> {
        let recovered = store.recover().map_err(|error| error.to_string())?;
        let entries = read(&mut store, &recovered)?;
        let (steps, queue) = mpsc::unbounded_channel();
        thread::spawn(move || run(store, queue));
        Ok(Opened { disk: Self(steps), vote: stored_vote(&recovered.vote)?, entries })
    }

    pub(super) fn append(&self, entries: &[Entry], flushed: IOFlushed<Types>) -> io::Result<()> {
        let batches = seal(entries)?;
        self.0.send(Step::Append(batches, flushed)).map_err(|_| stopped())
    }

    pub(super) async fn save_vote(&self, vote: &VoteOf<Types>) -> io::Result<()> {
        let text = serde_json::to_string(vote).map_err(io::Error::other)?;
        let vote = Vote { term: Term(vote.leader_id.term), voted_for: Some(NodeId::from(text)) };
        self.step(|done| Step::Vote(vote, done)).await
    }

    /// Removes everything from openraft's index `first` on.
    pub(super) async fn truncate(&self, first: u64) -> io::Result<()> {
        self.step(|done| Step::Truncate(index(first), done)).await
    }

    async fn step(&self, step: impl FnOnce(oneshot::Sender<io::Result<()>>) -> Step) -> io::Result<()> {
        let (done, result) = oneshot::channel();
        self.0.send(step(done)).map_err(|_| stopped())?;
        result.await.map_err(|_| stopped())?
    }
}

fn stopped() -> io::Error {
    io::Error::other("the log's thread has stopped")
}

/// openraft counts entries from 0, the log from 1.
fn index(of: u64) -> LogIndex {
    LogIndex(of + 1)
}

/// The vote with all that openraft keeps of it, in the place of a candidate's name.
fn stored_vote(vote: &Vote) -> Result<Option<VoteOf<Types>>, String> {
    let text = vote.voted_for.as_ref().map(|text| serde_json::from_str(text.as_str()));
    text.transpose().map_err(|error| error.to_string())
}

/// Encodes entries as batches of one term each.
fn seal(entries: &[Entry]) -> io::Result<Vec<EntryBatch>> {
    let term = |entry: &Entry| entry.log_id().committed_leader_id().term;
    let batch = |run: &[Entry]| {
        let mut buffer = EntryBuffer::with_capacity(run.len() * 512);
        for entry in run {
            let data = rmp_serde::to_vec(entry).map_err(io::Error::other)?;
            buffer.push(EntryKind::Command, &data);
        }
        Ok(buffer.seal(index(run[0].index()), Term(term(&run[0]))))
    };
    entries.chunk_by(|one, next| term(one) == term(next)).map(batch).collect()
}

fn read(store: &mut impl LogStore, recovered: &Recovered) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    let mut next = LogIndex(1);
    while next <= recovered.last.index {
        let batches =
            store.read(next, recovered.last.index, READ_BYTES).map_err(|error| error.to_string())?;
        for batch in batches {
            for entry in batch.iter() {
                entries.push(rmp_serde::from_slice(entry.data).map_err(|error| error.to_string())?);
            }
            next = batch.last().next();
        }
    }
    Ok(entries)
}

/// Everything queued, one flush, then all answers.
fn run(mut store: impl LogStore, mut queue: mpsc::UnboundedReceiver<Step>) {
    while let Some(first) = queue.blocking_recv() {
        let mut appended = Vec::new();
        let mut waiting = Vec::new();
        let mut result = Ok(());
        let mut next = Some(first);
        while let Some(step) = next {
            result = result.and_then(|()| match step {
                Step::Append(batches, flushed) => {
                    appended.push(flushed);
                    batches.iter().try_for_each(|batch| store.append(batch))
                }
                Step::Vote(vote, done) => {
                    waiting.push(done);
                    store.save_vote(&vote)
                }
                Step::Truncate(from, done) => {
                    waiting.push(done);
                    store.truncate(from)
                }
            });
            next = queue.try_recv().ok();
        }
        let result = result.and_then(|()| store.flush()).map_err(|error| error.to_string());
        for flushed in appended {
            flushed.io_completed(result.clone().map_err(io::Error::other));
        }
        for done in waiting {
            // Who asked may have stopped.
            let _ = done.send(result.clone().map_err(io::Error::other));
        }
    }
}
