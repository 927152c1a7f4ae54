//! Segments prepared ahead: header and name durable, so that going on in one costs no more than the
//! flush that begins there.
//!
//! One is the reserve: entries never take the last, so a vote always finds room. They are made by a
//! helper thread where there is one, else when they are asked for.

use std::{
    collections::VecDeque,
    sync::mpsc::{Receiver, Sender, channel},
    thread::JoinHandle,
};

use super::{
    control::Cut,
    segment::{Folder, Owner, SegmentFile},
};
use crate::{
    storage::{StorageError, io_error},
    types::ClusterId,
};

/// How many the helper thread makes: the reserve, and one to go on in.
pub(super) const KEPT: usize = 2;
/// How many segments of which nothing is needed any more are kept instead of removed.
const STOCK_MAX: usize = 4;

/// Something to do to files off the path of a flush.
enum Job {
    Create,
    Recycle(u64),
    Remove(u64),
    Shorten(Cut),
    SetCluster(ClusterId),
}

/// Does the jobs, one after the other; the only one that gives out ordinals.
#[derive(Clone, Debug)]
struct Workshop {
    folder: Folder,
    owner: Owner,
    segment_bytes: u64,
    next_ordinal: u64,
}

type Done = Result<SegmentFile, StorageError>;

impl Workshop {
    /// Segments made and errors are answered, nothing else.
    fn run(&mut self, job: Job) -> Option<Done> {
        match job {
            Job::Create => Some(self.create()),
            Job::Recycle(old) => {
                let made = self.folder.recycle(old, self.next_ordinal, &self.owner);
                self.next_ordinal += u64::from(made.is_ok());
                Some(made)
            }
            Job::Remove(old) => self.folder.remove(old).and_then(|()| self.folder.sync()).err().map(Err),
            Job::Shorten(Cut { ordinal, offset }) => {
                self.folder.shorten(ordinal, offset, &self.owner).err().map(Err)
            }
            Job::SetCluster(cluster) => {
                self.owner.cluster = cluster;
                None
            }
        }
    }

    /// An ordinal is used up only by a segment that exists, so that a missing one means a lost file.
    fn create(&mut self) -> Done {
        let made = self.folder.create(self.next_ordinal, &self.owner, self.segment_bytes)?;
        self.next_ordinal += 1;
        Ok(made)
    }
}

#[derive(Debug)]
enum Maker {
    Here { workshop: Workshop, done: VecDeque<Done> },
    Thread(Helper),
}

/// The thread that works ahead.
#[derive(Debug)]
struct Helper {
    jobs: Option<Sender<Job>>,
    done: Receiver<Done>,
    thread: Option<JoinHandle<()>>,
}

impl Helper {
    fn start(mut workshop: Workshop) -> Result<Self, StorageError> {
        let dir = workshop.folder.dir.clone();
        let (jobs, inbox) = channel();
        let (outbox, done) = channel();
        let work = move || {
            for job in inbox {
                if let Some(answer) = workshop.run(job)
                    && outbox.send(answer).is_err()
                {
                    return;
                }
            }
        };
        let spawned = std::thread::Builder::new().name("raftix-wal-spares".to_owned()).spawn(work);
        let thread = Some(spawned.map_err(|e| io_error("start a thread for", &dir, e))?);
        Ok(Self { jobs: Some(jobs), done, thread })
    }
}

impl Drop for Helper {
    /// No file is touched after the log is gone: its lock may be given to somebody else.
    fn drop(&mut self) {
        self.jobs.take();
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// The segments that are ready, oldest first, and whoever makes more.
#[derive(Debug)]
pub(super) struct Spares {
    maker: Maker,
    ready: VecDeque<SegmentFile>,
    /// Segments asked for and not answered.
    outstanding: usize,
    /// The last attempt found no room: do not try again before somebody needs one.
    starved: bool,
    segment_bytes: u64,
}

impl Spares {
    /// Makes segments from `next_ordinal` on.
    pub(super) fn new(folder: Folder, owner: Owner, segment_bytes: u64, next_ordinal: u64) -> Self {
        let workshop = Workshop { folder, owner, segment_bytes, next_ordinal };
        let maker = Maker::Here { workshop, done: VecDeque::new() };
        Self { maker, ready: VecDeque::new(), outstanding: 0, starved: false, segment_bytes }
    }

    /// Makes new segments of `blank` ones, ascending, that an earlier process left. Never written as far as can be told,
    /// but a flush may have been torn there, also one of which only the page cache still has a part: they get new ids all
    /// the same.
    pub(super) fn adopt(&mut self, blank: &[u64]) -> Result<(), StorageError> {
        let Maker::Here { workshop, .. } = &mut self.maker else { return Ok(()) };
        let Workshop { folder, owner, .. } = workshop;
        let mut withdrawn = Vec::new();
        // From the end, so that a crash leaves no hole in the ordinals.
        for ordinal in blank.iter().rev() {
            withdrawn.push(folder.withdraw(*ordinal, owner)?);
        }
        for old in withdrawn.into_iter().rev() {
            let beside = folder.beside(old.ordinal);
            if old.size == self.segment_bytes && self.ready.len() < STOCK_MAX {
                let ordinal = workshop.next_ordinal;
                self.ready.push_back(folder.finish(&beside, ordinal, old.id, owner, old.size, old.file)?);
                workshop.next_ordinal += 1;
            } else {
                folder.vfs.remove(&beside).map_err(|e| io_error("remove", &beside, e))?;
            }
        }
        Ok(())
    }

    /// Leaves the work to a thread from now on.
    pub(super) fn work_in_background(&mut self) -> Result<(), StorageError> {
        if let Maker::Here { workshop, .. } = &self.maker {
            self.maker = Maker::Thread(Helper::start(workshop.clone())?);
        }
        Ok(())
    }

    /// How many are ready.
    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Waits until `count` are ready.
    pub(super) fn ensure(&mut self, count: usize) -> Result<(), StorageError> {
        while self.ready.len() < count {
            if self.outstanding == 0 {
                self.submit(Job::Create);
            }
            let answer = match &mut self.maker {
                Maker::Here { done, .. } => done.pop_front(),
                Maker::Thread(helper) => helper.done.recv().ok(),
            };
            self.take_in(answer.unwrap_or_else(|| Err(helper_gone())))?;
        }
        self.starved = false;
        Ok(())
    }

    /// The oldest, at least `size` bytes long.
    pub(super) fn take(&mut self, size: u64) -> Result<SegmentFile, StorageError> {
        self.ensure(1)?;
        let spare = self.ready.front_mut().expect("one is ready");
        if spare.size < size {
            spare.file.allocate(size).and_then(|()| spare.file.sync_all()).map_err(|error| {
                io_error("allocate", std::path::Path::new(&format!("segment {}", spare.ordinal)), error)
            })?;
            spare.size = size;
        }
        Ok(self.ready.pop_front().expect("one is ready"))
    }

    /// A segment of just `size` bytes, where there is no room for a whole one. Only before the helper
    /// thread is started.
    pub(super) fn make_small(&mut self, size: u64) -> Result<SegmentFile, StorageError> {
        let Maker::Here { workshop, .. } = &mut self.maker else { return Err(helper_gone()) };
        let whole = std::mem::replace(&mut workshop.segment_bytes, size);
        let made = workshop.create();
        workshop.segment_bytes = whole;
        made
    }

    /// Takes what the helper has done and gives it more to do. Never waits.
    pub(super) fn top_up(&mut self) -> Result<(), StorageError> {
        loop {
            let answer = match &mut self.maker {
                Maker::Here { done, .. } => done.pop_front(),
                Maker::Thread(helper) => helper.done.try_recv().ok(),
            };
            let Some(answer) = answer else { break };
            match self.take_in(answer) {
                Err(StorageError::Full { .. }) => self.starved = true,
                taken => taken?,
            }
        }
        if matches!(self.maker, Maker::Thread(_)) && !self.starved {
            while self.ready.len() + self.outstanding < KEPT {
                self.submit(Job::Create);
            }
        }
        Ok(())
    }

    /// Gives back a segment of which nothing is needed any more.
    pub(super) fn retire(&mut self, ordinal: u64, size: u64) {
        if size == self.segment_bytes && self.ready.len() + self.outstanding < STOCK_MAX {
            self.submit(Job::Recycle(ordinal));
        } else {
            self.submit(Job::Remove(ordinal));
        }
    }

    /// Frees what lies behind a cut. Nothing reads there any more.
    pub(super) fn shorten(&mut self, cut: Cut) {
        self.submit(Job::Shorten(cut));
    }

    /// Segments made from now on belong to `cluster`.
    pub(super) fn set_cluster(&mut self, cluster: ClusterId) {
        self.submit(Job::SetCluster(cluster));
    }

    fn submit(&mut self, job: Job) {
        self.outstanding += usize::from(matches!(job, Job::Create | Job::Recycle(_)));
        match &mut self.maker {
            Maker::Here { workshop, done } => done.extend(workshop.run(job)),
            // A helper that is gone is noticed by whoever waits for it.
            Maker::Thread(helper) => {
                let _ = helper.jobs.as_ref().map(|jobs| jobs.send(job));
            }
        }
    }

    fn take_in(&mut self, answer: Done) -> Result<(), StorageError> {
        self.outstanding = self.outstanding.saturating_sub(1);
        self.ready.push_back(answer?);
        Ok(())
    }
}

fn helper_gone() -> StorageError {
    StorageError::Misuse("the thread that prepares segments is gone".to_owned())
}
