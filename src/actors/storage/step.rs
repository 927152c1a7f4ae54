//! What the storage actor does, without actors or threads: operations in, completions out.

use std::{collections::VecDeque, sync::Arc};

use crate::{
    known_bug::KnownBug,
    log::Ticket,
    messages::{ReadEntries, Reader},
    storage::{LogStore, StorageError, data_dir::DataDir},
    types::{ClusterId, EntryBatch, LogBase, LogIndex, Vote},
};

/// How many bytes of entries one flush covers at most: a vote never waits behind more.
const FLUSH_BYTES_MAX: usize = 8 << 20;

/// One thing to do, in the order of the protocol.
#[derive(Debug)]
pub(crate) enum Operation {
    Append { ticket: Ticket, entries: EntryBatch },
    Truncate { ticket: Ticket, from: LogIndex },
    Purge(LogBase),
    Reset { ticket: Ticket, base: LogBase },
    SaveVote(Vote),
    SaveIdentity { cluster: ClusterId, member: bool },
    Read(ReadEntries),
    Retry,
    Close,
}

/// One thing done.
#[derive(Debug)]
pub(crate) enum Completion {
    Flushed(Ticket),
    VoteSaved(Vote),
    IdentitySaved { cluster: ClusterId, member: bool },
    Read { reader: Reader, batches: Vec<EntryBatch> },
    Room { full: bool },
    Failed(Arc<StorageError>),
    Closed,
}

/// See the module.
///
/// Votes keep their order among themselves and go with the next flush, ahead of a backlog. Reads are of
/// entries that are durable, and wait for nothing either. A purge goes ahead as well: what it removes is durable and
/// committed, so nothing in the backlog touches it, and it makes the room that the backlog may wait for. What else
/// changes the log keeps the order it came in.
pub(crate) struct StorageStep {
    store: Box<dyn LogStore>,
    directory: Option<DataDir>,
    queue: VecDeque<Operation>,
    votes: VecDeque<Vote>,
    reads: VecDeque<ReadEntries>,
    purge: Option<LogBase>,
    full: bool,
    failed: bool,
    closing: bool,
    closed: bool,
}

/// What one flush makes durable.
#[derive(Default)]
struct Unflushed {
    ticket: Option<Ticket>,
    votes: Vec<Vote>,
    purged: bool,
    bytes: usize,
}

impl StorageStep {
    pub(crate) fn new(store: Box<dyn LogStore>, directory: Option<DataDir>) -> Self {
        Self {
            store,
            directory,
            queue: VecDeque::new(),
            votes: VecDeque::new(),
            reads: VecDeque::new(),
            purge: None,
            full: false,
            failed: false,
            closing: false,
            closed: false,
        }
    }

    /// Takes an operation up, without doing it yet.
    pub(crate) fn queue(&mut self, operation: Operation) {
        match operation {
            Operation::SaveVote(vote) => self.votes.push_back(vote),
            Operation::Read(read) => self.reads.push_back(read),
            // One before it would remove less.
            Operation::Purge(base) => self.purge = Some(base),
            Operation::Close => self.closing = true,
            Operation::Retry => {}
            other => self.queue.push_back(other),
        }
    }

    /// Whether operations wait for room on the medium.
    pub(crate) fn is_blocked(&self) -> bool {
        self.full
    }

    /// Does everything queued, with as few flushes as the bounds allow.
    pub(crate) fn run(&mut self, emit: &mut dyn FnMut(Completion)) {
        while !self.failed {
            match self.round(emit) {
                Ok(true) if self.has_more() => {}
                // What waits for room now was never acknowledged.
                Ok(_) if self.closing => break,
                Ok(_) => return,
                Err(error) => {
                    // Nothing of this store is touched again; a restart reads what is durable.
                    self.failed = true;
                    emit(Completion::Failed(Arc::new(error)));
                }
            }
        }
        // A store that has failed is closed without another touch.
        self.queue.clear();
        if self.closing && !self.closed {
            self.closed = true;
            emit(Completion::Closed);
        }
    }

    fn has_more(&self) -> bool {
        !(self.queue.is_empty() && self.votes.is_empty() && self.reads.is_empty() && self.purge.is_none())
    }

    /// One write and one flush. Whether anything was done.
    fn round(&mut self, emit: &mut dyn FnMut(Completion)) -> Result<bool, StorageError> {
        let mut unflushed = Unflushed::default();
        let votes_wait = self.save_votes(&mut unflushed, emit)?;
        let mut done = !unflushed.votes.is_empty();
        while let Some(read) = self.reads.pop_front() {
            self.read(read, emit)?;
        }
        done |= self.purge(&mut unflushed, emit)?;
        // What is written in a term comes behind its record.
        while !votes_wait && unflushed.bytes < FLUSH_BYTES_MAX {
            let Some(operation) = self.queue.pop_front() else { break };
            if !self.perform(operation, &mut unflushed, emit)? {
                break;
            }
            done = true;
        }
        self.flush(unflushed, emit)?;
        Ok(done)
    }

    /// Writes the votes. Whether one must wait for room: the reserve was used up, too. Nobody hears of its term or
    /// its candidate as long as it waits, and a node that waits does not lead.
    fn save_votes(
        &mut self,
        unflushed: &mut Unflushed,
        emit: &mut dyn FnMut(Completion),
    ) -> Result<bool, StorageError> {
        while let Some(vote) = self.votes.pop_front() {
            match self.store.save_vote(&vote) {
                Ok(()) => unflushed.votes.push(vote),
                Err(StorageError::Full { .. }) => {
                    self.votes.push_front(vote);
                    self.note_room(true, emit);
                    return Ok(true);
                }
                Err(error) => return Err(error),
            }
            if KnownBug::TornVote.is_back() {
                break;
            }
        }
        if !unflushed.votes.is_empty() && self.queue.is_empty() {
            self.note_room(false, emit);
        }
        Ok(false)
    }

    /// Removes the front of the log. Whether that was done: without room for its record it waits, as everything does.
    fn purge(
        &mut self,
        unflushed: &mut Unflushed,
        emit: &mut dyn FnMut(Completion),
    ) -> Result<bool, StorageError> {
        let Some(base) = self.purge.take() else { return Ok(false) };
        match self.store.purge(&base) {
            Ok(()) => unflushed.purged = true,
            Err(StorageError::Full { .. }) => {
                self.purge = Some(base);
                self.note_room(true, emit);
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
        if self.votes.is_empty() && self.queue.is_empty() {
            self.note_room(false, emit);
        }
        Ok(true)
    }

    /// Does one operation; false if it must wait for room.
    fn perform(
        &mut self,
        operation: Operation,
        unflushed: &mut Unflushed,
        emit: &mut dyn FnMut(Completion),
    ) -> Result<bool, StorageError> {
        match operation {
            Operation::Append { ticket, entries } => {
                let done = self.store.append(&entries);
                let bytes = entries.len();
                if !self.has_room(done, Operation::Append { ticket, entries }, emit)? {
                    return Ok(false);
                }
                unflushed.ticket = Some(ticket);
                unflushed.bytes += bytes;
            }
            Operation::Truncate { ticket, from } => {
                // To remove takes room as well: its record must be written.
                let done = self.store.truncate(from);
                if !self.has_room(done, Operation::Truncate { ticket, from }, emit)? {
                    return Ok(false);
                }
                unflushed.ticket = Some(ticket);
            }
            Operation::Reset { ticket, base } => {
                let done = self.store.reset(&base);
                if !self.has_room(done, Operation::Reset { ticket, base }, emit)? {
                    return Ok(false);
                }
                unflushed.ticket = Some(ticket);
            }
            Operation::SaveIdentity { cluster, member } => {
                self.flush(std::mem::take(unflushed), emit)?;
                let done = self.save_identity(cluster, member);
                if !self.has_room(done, Operation::SaveIdentity { cluster, member }, emit)? {
                    return Ok(false);
                }
                emit(Completion::IdentitySaved { cluster, member });
            }
            Operation::SaveVote(_)
            | Operation::Read(_)
            | Operation::Purge(_)
            | Operation::Close
            | Operation::Retry => {}
        }
        Ok(true)
    }

    fn save_identity(&mut self, cluster: ClusterId, member: bool) -> Result<(), StorageError> {
        let Some(directory) = &mut self.directory else { return Ok(()) };
        directory.set_cluster(cluster)?;
        if member { directory.mark_member() } else { Ok(()) }
    }

    /// Whether the medium had room for `operation`; if not, it is the first to be tried again.
    fn has_room(
        &mut self,
        done: Result<(), StorageError>,
        operation: Operation,
        emit: &mut dyn FnMut(Completion),
    ) -> Result<bool, StorageError> {
        let full = match done {
            Ok(()) => false,
            Err(StorageError::Full { .. }) => true,
            Err(error) => return Err(error),
        };
        if full {
            self.queue.push_front(operation);
        }
        self.note_room(full, emit);
        Ok(!full)
    }

    fn read(&mut self, read: ReadEntries, emit: &mut dyn FnMut(Completion)) -> Result<(), StorageError> {
        let ReadEntries { reader, first, last, bytes_max } = read;
        // What was truncated meanwhile is not there; whoever asked asks again if it matters.
        let batches = match self.store.read(first, last, bytes_max) {
            Ok(batches) => batches,
            Err(StorageError::Misuse(_)) => Vec::new(),
            Err(error) => return Err(error),
        };
        emit(Completion::Read { reader, batches });
        Ok(())
    }

    fn flush(&mut self, unflushed: Unflushed, emit: &mut dyn FnMut(Completion)) -> Result<(), StorageError> {
        if unflushed.ticket.is_none() && unflushed.votes.is_empty() && !unflushed.purged {
            return Ok(());
        }
        self.store.flush()?;
        for vote in unflushed.votes {
            emit(Completion::VoteSaved(vote));
        }
        if let Some(ticket) = unflushed.ticket {
            emit(Completion::Flushed(ticket));
        }
        Ok(())
    }

    fn note_room(&mut self, full: bool, emit: &mut dyn FnMut(Completion)) {
        if self.full != full {
            self.full = full;
            emit(Completion::Room { full });
        }
    }
}
