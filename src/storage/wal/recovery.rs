//! Decides, from the records that are whole, what the log is: what counts, what is cut, what is rot.
//!
//! Reads only. The rules, with the argument for each, are in docs/wal.md:
//! the newest segment with a whole head leads back through the segments that its head and theirs name;
//! all of those must be without a gap; in the newest one a gap is forgiven in its last flush alone.

use super::{
    control::{Commit, Cut, Head},
    record::{FLAG_COPIED, Kind},
    scan::{self, Record, Scan},
    segment::{Folder, HEADER_PAGE_BYTES, Owner, SECTOR_BYTES},
    state::State,
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
    check_names(folder, &ordinals, newest.scan.as_ref().map(|scan| scan.ordinal))?;
    let Some(scan) = newest.scan.take() else {
        return begin(folder, &ordinals, newest, must_exist);
    };
    let (kept, promise) = judge(folder, &scan, &mut newest.repairs)?;
    let records = &scan.records[..kept];
    let tail = tail_start(records);
    let head = scan.head().expect("the newest segment was chosen for its head");
    let links = trace(folder, owner, &ordinals, &head, scan.ordinal)?;

    let mut state = State::start(links.first().map_or(&head, |oldest| &oldest.head));
    let nexts = links.iter().skip(1).map(|link| link.sequence).chain([records[0].sequence()]);
    for (link, next) in links.iter().zip(nexts) {
        replay_link(folder, owner, link, next, &mut state)?;
    }
    replay(folder, scan.ordinal, &records[..tail], &mut state)?;
    let mut ahead = state.clone();
    replay(folder, scan.ordinal, &records[tail..], &mut ahead)?;
    let written = ahead.last.index;
    let promise = newest.promise.take().or(promise);
    settle(&mut ahead, promise.filter(|_| !KnownBug::DamagedTailForgotten.is_back()));
    if let Some(index) = ahead.missing() {
        let what = format!("entry {index} and those behind it are in no segment");
        return Err(super::corrupt(folder.text(ordinals[0]), HEADER_PAGE_BYTES, what));
    }

    let chain: Vec<u64> = links.iter().map(|link| link.cut.ordinal).collect();
    let mut found = go_on_from(scan.ordinal, records, tail, head.previous, chain);
    found.truncate = (ahead.last.index < written).then(|| ahead.last.index.next());
    found.head.vote.clone_from(&ahead.vote);
    found.head.withheld = ahead.withheld;
    found.head.last = state.last;
    found.head.base.clone_from(&state.base);
    (found.state, found.ahead) = (state, ahead);
    found.sort_out(&ordinals, newest);
    Ok(found)
}

/// Where the stream leaves the newest segment: behind what is not written anew. If nothing of the log
/// is left there, the stream leaves the segment before instead, and this one is superfluous.
fn go_on_from(
    newest: u64,
    records: &[Record],
    tail: usize,
    previous: Option<Cut>,
    mut chain: Vec<u64>,
) -> Recovery {
    let changes_log =
        |record: &&Record| !matches!(record.header.kind, Kind::Head | Kind::Vote | Kind::Commit);
    let (stay, again) = records.split_at(tail);
    let tail = again.iter().filter(changes_log).cloned().collect();
    let last = stay.last().filter(|_| stay.iter().any(|record| changes_log(&record)));
    let (previous, sequence) = match last {
        Some(last) => {
            chain.push(newest);
            (Some(Cut { ordinal: newest, offset: flush_end(last.end()) }), last.sequence() + 1)
        }
        None => (previous, records[0].sequence()),
    };
    Recovery { head: Head { previous, ..Head::default() }, sequence, tail, chain, ..Recovery::default() }
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
    /// The newest segment whose head is whole.
    scan: Option<Scan>,
    /// The commit record of a segment behind it whose first flush is not.
    promise: Option<Commit>,
    blank: Vec<u64>,
    /// Whether a segment behind it was set aside.
    damaged: bool,
    repairs: Vec<String>,
}

fn find_newest(folder: &Folder, owner: &Owner, ordinals: &[u64]) -> Result<Newest, StorageError> {
    let mut newest = Newest::default();
    for ordinal in ordinals.iter().rev() {
        let scan = scan::scan(folder, &mut folder.open(*ordinal, owner)?)?;
        if scan.records.is_empty() && !newest.damaged {
            newest.blank.push(*ordinal);
        } else if scan.head().is_some() && !unfinished_opening(&scan) {
            newest.scan = Some(scan);
            return Ok(newest);
        } else {
            let promise = only_promise(folder, &scan)?;
            newest.repairs.push(format!("{}: first flush damaged, its records cut", folder.text(*ordinal)));
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

/// Whether a recovery was interrupted in its first flush: then the tail that it was to write anew is
/// still whole where it was, and nobody was ever told anything of what lies here.
fn unfinished_opening(scan: &Scan) -> bool {
    let first = &scan.records[0];
    let commit = scan.records[..scan.gapless()].iter().any(|record| record.header.kind == Kind::Commit);
    first.header.flags & FLAG_COPIED != 0 && !commit
}

/// A segment whose first flush is damaged counts for nothing but what that flush promised. With more
/// behind it, it was durable once.
fn only_promise(folder: &Folder, scan: &Scan) -> Result<Option<Commit>, StorageError> {
    let first = scan.records.iter().position(|record| record.header.kind == Kind::Commit);
    let Some(first) = first else { return Ok(None) };
    let commit = scan.records[first].commit();
    let only = commit.as_ref().is_some_and(|commit| commit.first_sequence <= scan.records[0].sequence());
    if first + 1 < scan.records.len() || !only {
        let what = "the first flush is damaged and whole flushes lie behind it";
        return Err(super::corrupt(folder.text(scan.ordinal), HEADER_PAGE_BYTES, what));
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

/// How many records of the newest segment count, and what its damaged last flush had promised.
fn judge(
    folder: &Folder,
    scan: &Scan,
    repairs: &mut Vec<String>,
) -> Result<(usize, Option<Commit>), StorageError> {
    let behind_too = KnownBug::RecordBehindDamageTaken.is_back();
    let kept = if behind_too { scan.records.len() } else { scan.gapless() };
    let (whole, behind) = scan.records.split_at(kept);
    let damage = whole[kept - 1].end();
    let file = folder.text(scan.ordinal);
    let commits: Vec<Commit> = behind.iter().filter_map(Record::commit).collect();
    let promise = match (&commits[..], behind.last()) {
        ([], last) => {
            if let Some(last) = last {
                repairs.push(format!("{file}: unfinished flush cut at bytes {damage} to {}", last.end()));
            } else if whole[kept - 1].header.kind != Kind::Commit {
                repairs.push(format!("{file}: unfinished flush kept up to byte {damage}"));
            }
            None
        }
        ([commit], Some(last))
            if last.header.kind == Kind::Commit
                && commit.first_sequence <= whole[kept - 1].sequence() + 1 =>
        {
            repairs.push(format!(
                "{file}: last flush damaged at bytes {damage} to {}, it had ended at {}",
                last.offset, commit.last
            ));
            Some(commit.clone())
        }
        _ => return Err(super::corrupt(file, damage, "a record is damaged and whole flushes lie behind it")),
    };
    Ok((kept, promise))
}

/// Where the last flush among `records` begins: it may be in the page cache alone, so it is written
/// anew. If it is still incomplete, the one before it was durable before it began.
fn tail_start(records: &[Record]) -> usize {
    let before_last = &records[..records.len() - 1];
    before_last.iter().rposition(|record| record.header.kind == Kind::Commit).map_or(0, |at| at + 1)
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
            replay(folder, ordinal, std::slice::from_ref(&record), state)?;
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

fn replay(folder: &Folder, ordinal: u64, records: &[Record], state: &mut State) -> Result<(), StorageError> {
    for record in records {
        state
            .apply(ordinal, record)
            .map_err(|what| super::corrupt(folder.text(ordinal), record.offset, what))?;
    }
    Ok(())
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
