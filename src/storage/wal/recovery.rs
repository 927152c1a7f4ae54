//! Decides, from the records that are whole, what the log is: what counts, what is cut, what is rot.
//!
//! Reads only. The rules, with the argument for each, are in docs/wal.md:
//! the newest segment with a whole head leads back through the segments that its head and theirs name;
//! all of those must be without a gap; in the newest one a gap is forgiven in its last flush alone.

use super::{
    control::{Commit, Cut, Head},
    record::Kind,
    scan::{self, Beginning, Record},
    segment::{Folder, HEADER_PAGE_BYTES, Owner, SECTOR_BYTES},
    state::State,
    tail::Tail,
};
use crate::{known_bug::KnownBug, storage::StorageError, types::LogIndex};

/// What recovery found, and what the log must write before anybody relies on it.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    /// The log up to where its newest segment is left.
    pub(super) state: State,
    /// The log with the tail that is to be written anew.
    pub(super) ahead: State,
    /// The head of the segment to go on in.
    pub(super) head: Head,
    /// Its sequence number.
    pub(super) sequence: u64,
    /// What the tail consists of.
    pub(super) tail: Vec<Record>,
    /// What a lost truncation removed from the end of the tail.
    pub(super) truncate: Option<LogIndex>,
    /// The segments that hold the log so far, oldest first.
    pub(super) chain: Vec<u64>,
    /// Segments behind the newest record, ascending: no record in them.
    pub(super) blank: Vec<u64>,
    /// Segments that hold nothing that counts.
    pub(super) abandoned: Vec<u64>,
    /// Words for the operator.
    pub(super) repairs: Vec<String>,
    /// The highest ordinal that holds a record.
    pub(super) highest: u64,
}

/// Reads the directory.
pub(super) fn read(folder: &Folder, owner: &Owner, must_exist: bool) -> Result<Recovery, StorageError> {
    let ordinals = folder.scan()?;
    let mut newest = find_newest(folder, owner, &ordinals)?;
    check_names(folder, &ordinals, newest.first.as_ref().map(|first| first.ordinal))?;
    let Some(First { ordinal, head, sequence }) = newest.first.take() else {
        return begin(folder, &ordinals, newest, must_exist);
    };
    let links = trace(folder, owner, &ordinals, &head, ordinal)?;

    let mut state = State::start(links.first().map_or(&head, |oldest| &oldest.head));
    let nexts = links.iter().skip(1).map(|link| link.sequence).chain([sequence]);
    for (link, next) in links.iter().zip(nexts) {
        replay_link(folder, owner, link, next, &mut state)?;
    }
    let mut tail = Tail::read(folder, &mut folder.open(ordinal, owner)?, state)?;
    let promise = tail.judge(folder, &mut newest.repairs)?;
    let mut ahead = tail.state.clone();
    for record in &tail.records {
        ahead.take_in(folder, ordinal, record)?;
    }
    let written = ahead.last.index;
    let promise = newest.promise.take().or(promise);
    settle(&mut ahead, promise.filter(|_| !KnownBug::DamagedTailForgotten.is_back()));
    if let Some(index) = ahead.missing() {
        let what = format!("entry {index} and those behind it are in no segment");
        return Err(super::corrupt(folder.text(ordinals[0]), HEADER_PAGE_BYTES, what));
    }

    let chain: Vec<u64> = links.iter().map(|link| link.cut.ordinal).collect();
    let mut found = go_on_from(ordinal, &tail, (head.previous, sequence), chain);
    found.truncate = (ahead.last.index < written).then(|| ahead.last.index.next());
    found.head.vote.clone_from(&ahead.vote);
    found.head.withheld = ahead.withheld;
    found.head.last = tail.state.last;
    found.head.base.clone_from(&tail.state.base);
    (found.state, found.ahead) = (tail.state, ahead);
    found.sort_out(&ordinals, newest);
    Ok(found)
}

/// Where the stream leaves the newest segment: behind what is not written anew. If nothing of the log
/// is left there, the stream leaves it as it came into it, `entered`, and the segment is superfluous.
fn go_on_from(newest: u64, tail: &Tail, entered: (Option<Cut>, u64), mut chain: Vec<u64>) -> Recovery {
    let again = tail.records.iter().filter(|record| record.changes_log()).cloned().collect();
    let (previous, sequence) = match tail.before.filter(|before| before.changes_log) {
        Some(before) => {
            chain.push(newest);
            (Some(Cut { ordinal: newest, offset: flush_end(before.end) }), before.sequence + 1)
        }
        None => entered,
    };
    let head = Head { previous, ..Head::default() };
    Recovery { head, sequence, tail: again, chain, ..Recovery::default() }
}

impl Recovery {
    /// Says of every segment what becomes of it.
    fn sort_out(&mut self, ordinals: &[u64], newest: Newest) {
        self.repairs = newest.repairs;
        self.blank = newest.blank;
        self.blank.reverse();
        let recorded = ordinals.iter().copied().filter(|ordinal| !self.blank.contains(ordinal));
        let recorded: Vec<u64> = recorded.collect();
        self.highest = recorded.last().copied().unwrap_or(0);
        self.abandoned = recorded.into_iter().filter(|ordinal| !self.chain.contains(ordinal)).collect();
    }
}

/// The end of the stream, as far as it can be found.
#[derive(Default)]
struct Newest {
    /// How the newest segment begins whose head is whole.
    first: Option<First>,
    /// The commit record of a segment behind it whose first flush is not.
    promise: Option<Commit>,
    blank: Vec<u64>,
    /// Whether a segment behind it was set aside.
    damaged: bool,
    repairs: Vec<String>,
}

/// The head of a segment.
struct First {
    ordinal: u64,
    head: Head,
    sequence: u64,
}

fn find_newest(folder: &Folder, owner: &Owner, ordinals: &[u64]) -> Result<Newest, StorageError> {
    let mut newest = Newest::default();
    for ordinal in ordinals.iter().rev() {
        let (ordinal, mut segment) = (*ordinal, folder.open(*ordinal, owner)?);
        let beginning = Beginning::read(folder, &mut segment)?;
        if beginning.records.is_empty() && !newest.damaged {
            newest.blank.push(ordinal);
        } else if let Some((head, sequence)) = beginning.head() {
            newest.first = Some(First { ordinal, head, sequence });
            return Ok(newest);
        } else {
            let promise = only_promise(folder, ordinal, &beginning.records)?;
            newest.repairs.push(format!("{}: first flush damaged, its records cut", folder.text(ordinal)));
            newest.promise = newest.promise.or(promise);
            newest.damaged = true;
        }
    }
    match ordinals.first() {
        // The very first segment's first flush never became whole: nothing was ever acknowledged.
        None | Some(1) => Ok(newest),
        Some(oldest) => {
            Err(super::corrupt(folder.text(*oldest), HEADER_PAGE_BYTES, "no segment has a whole head"))
        }
    }
}

/// A segment whose first flush is damaged counts for nothing but what that flush promised. With more
/// behind it, it was durable once.
fn only_promise(folder: &Folder, ordinal: u64, records: &[Record]) -> Result<Option<Commit>, StorageError> {
    let first = records.iter().position(|record| record.header.kind == Kind::Commit);
    let Some(first) = first else { return Ok(None) };
    let commit = records[first].commit();
    let only = commit.as_ref().is_some_and(|commit| commit.first_sequence <= records[0].sequence());
    if first + 1 < records.len() || !only {
        let what = "the first flush is damaged and whole flushes lie behind it";
        return Err(super::corrupt(folder.text(ordinal), HEADER_PAGE_BYTES, what));
    }
    Ok(commit)
}

/// Segments come and go at the ends only: a name missing behind the newest head is a lost file.
fn check_names(folder: &Folder, ordinals: &[u64], newest: Option<u64>) -> Result<(), StorageError> {
    let recent = ordinals.partition_point(|ordinal| Some(*ordinal) < newest);
    for pair in ordinals[recent..].windows(2) {
        if pair[0] + 1 != pair[1] {
            return Err(super::corrupt(folder.text(pair[0] + 1), 0, "the file is missing"));
        }
    }
    Ok(())
}

/// A log whose first flush never became whole: nothing was ever acknowledged.
fn begin(
    folder: &Folder,
    ordinals: &[u64],
    mut newest: Newest,
    must_exist: bool,
) -> Result<Recovery, StorageError> {
    if must_exist {
        let dir = folder.dir.display().to_string();
        return Err(super::corrupt(dir, 0, "the directory is a member's and its log is missing"));
    }
    let mut ahead = State::default();
    settle(&mut ahead, newest.promise.take());
    let head = Head { vote: ahead.vote.clone(), withheld: ahead.withheld, ..Head::default() };
    let mut found = Recovery { head, sequence: 1, ahead, ..Recovery::default() };
    found.sort_out(ordinals, newest);
    Ok(found)
}

/// A segment that the stream passed through.
struct Link {
    cut: Cut,
    head: Head,
    /// Of its head.
    sequence: u64,
}

/// Follows the heads back to the oldest segment there is; oldest first.
fn trace(
    folder: &Folder,
    owner: &Owner,
    ordinals: &[u64],
    newest: &Head,
    newest_ordinal: u64,
) -> Result<Vec<Link>, StorageError> {
    let mut links = Vec::new();
    let mut previous = newest.previous;
    let mut behind = newest_ordinal;
    while let Some(cut) = previous {
        if ordinals.binary_search(&cut.ordinal).is_err() {
            break;
        }
        let damaged = |what: &str| super::corrupt(folder.text(cut.ordinal), HEADER_PAGE_BYTES, what);
        if cut.ordinal >= behind {
            return Err(damaged("a later segment is named as coming before"));
        }
        let mut segment = folder.open(cut.ordinal, owner)?;
        let found = scan::read_head(folder, &mut segment)?;
        let (head, sequence) = found.ok_or_else(|| damaged("the head is damaged"))?;
        previous = head.previous;
        behind = cut.ordinal;
        links.push(Link { cut, head, sequence });
    }
    links.reverse();
    Ok(links)
}

/// Where the flush ends whose last record ends at `end`.
fn flush_end(end: u64) -> u64 {
    end.next_multiple_of(SECTOR_BYTES)
}

/// Takes in a segment up to its cut, which must hold every record before `next`.
fn replay_link(
    folder: &Folder,
    owner: &Owner,
    link: &Link,
    next: u64,
    state: &mut State,
) -> Result<(), StorageError> {
    let Cut { ordinal, offset: cut } = link.cut;
    // Where the records that are whole end, and the number of the last of them.
    let mut whole = None;
    scan::walk(folder, &mut folder.open(ordinal, owner)?, cut, |record| {
        let follows = whole.is_none_or(|(_, sequence)| sequence + 1 == record.sequence());
        if follows {
            state.take_in(folder, ordinal, &record)?;
            whole = Some((record.end(), record.sequence()));
        }
        Ok(follows)
    })?;
    match whole {
        Some((end, sequence)) if flush_end(end) == cut && sequence + 1 == next => Ok(()),
        _ => {
            let what = "a record is damaged and whole flushes lie behind it";
            let damage = whole.map_or(HEADER_PAGE_BYTES, |(end, _)| end);
            Err(super::corrupt(folder.text(ordinal), damage, what))
        }
    }
}

/// Term and vote come from the commit record of a damaged flush, and the log is held against its end.
fn settle(ahead: &mut State, promise: Option<Commit>) {
    if let Some(commit) = promise {
        ahead.vote = commit.vote;
        ahead.reconcile(commit.withheld.unwrap_or(commit.last));
    } else if let Some(promised) = ahead.withheld {
        ahead.reconcile(promised);
    }
}
