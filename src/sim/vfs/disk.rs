//! What is on the disk and what is only in memory, and what a loss of power makes of the difference.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    io::IoSlice,
    path::{Path, PathBuf},
};

use super::fault::{Effect, Fault, Operation, StallHook, SyncFailure};

/// The unit that is on the disk whole or not at all.
const SECTOR: usize = 512;

/// The whole disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    pub(super) inodes: BTreeMap<u64, Inode>,
    pub(super) names: Names,
    /// Directories are durable as soon as they are made.
    pub(super) dirs: BTreeSet<PathBuf>,
    pub(super) locks: BTreeMap<PathBuf, u64>,
    /// Handles of an earlier process are fenced.
    pub(super) process: u64,
    pub(super) off: bool,
    pub(super) faults: Vec<Fault>,
    pub(super) capacity: Option<u64>,
    pub(super) operations: u64,
    pub(super) counts: BTreeMap<Operation, u64>,
    pub(super) syncs_after_failure: u64,
}

impl Disk {
    pub(super) fn check(&self) -> io::Result<()> {
        if self.off { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }

    pub(super) fn check_handle(&self, process: u64) -> io::Result<()> {
        if process != self.process {
            return Err(io::Error::other("the process that opened this file is dead"));
        }
        self.check()
    }

    pub(super) fn inode(&mut self, inode: u64) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&inode).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn create(&mut self, file: &Path) -> u64 {
        if let Some(inode) = self.names.live.get(file).copied() {
            self.inodes.entry(inode).or_default().set_len(0);
            return inode;
        }
        let inode = self.inodes.last_key_value().map_or(1, |(last, _)| last + 1);
        self.inodes.insert(inode, Inode::default());
        self.names.link(file, inode);
        inode
    }

    pub(super) fn used(&self) -> u64 {
        let inodes: BTreeSet<u64> = self.names.live.values().copied().collect();
        inodes.iter().filter_map(|inode| self.inodes.get(inode)).map(|inode| inode.live.len() as u64).sum()
    }

    /// The effect of the planned fault that strikes now, if one does.
    fn due(&mut self, operation: Operation, file: &Path) -> Option<Effect> {
        if operation.changes() {
            self.operations += 1;
        }
        *self.counts.entry(operation).or_default() += 1;
        let mut due = None;
        for (at, fault) in self.faults.iter_mut().enumerate() {
            if matches!(fault.effect, Effect::Stall(_)) || !fault.matches(operation, file) {
                continue;
            }
            if fault.skip == 0 && due.is_none() {
                due = Some(at);
            }
            fault.skip = fault.skip.saturating_sub(1);
        }
        due.map(|at| self.faults.remove(at).effect)
    }

    /// The hooks of planned stalls that are due.
    pub(super) fn take_stalls(&mut self, operation: Operation, file: &Path) -> Vec<StallHook> {
        let mut hooks = Vec::new();
        self.faults.retain_mut(|fault| {
            let Effect::Stall(hook) = &fault.effect else { return true };
            if !fault.matches(operation, file) {
                return true;
            }
            if fault.skip == 0 {
                hooks.push(hook.clone());
                return false;
            }
            fault.skip -= 1;
            true
        });
        hooks
    }

    /// Counts an operation that leaves nothing half done, and fails it if a fault strikes.
    pub(super) fn strike(&mut self, operation: Operation, file: &Path) -> io::Result<()> {
        match self.due(operation, file) {
            None | Some(Effect::Stall(_)) => Ok(()),
            Some(Effect::PowerOff) => {
                self.off = true;
                self.check()
            }
            Some(Effect::Fail(kind)) => Err(kind.into()),
            Some(Effect::FailSync(_)) => Err(io::Error::other("the disk refuses")),
        }
    }

    /// Counts a change and makes it. If the power fails it is under way: made, and not durable.
    pub(super) fn change<T>(
        &mut self,
        operation: Operation,
        file: &Path,
        work: impl FnOnce(&mut Self) -> T,
    ) -> io::Result<T> {
        match self.due(operation, file) {
            None | Some(Effect::Stall(_)) => Ok(work(self)),
            Some(Effect::PowerOff) => {
                work(self);
                self.off = true;
                Err(io::Error::other("the power is off"))
            }
            Some(Effect::Fail(kind)) => Err(kind.into()),
            Some(Effect::FailSync(_)) => Err(io::Error::other("the disk refuses")),
        }
    }

    pub(super) fn sync(&mut self, inode: u64, file: &Path) -> io::Result<()> {
        let process = self.process;
        if self.inode(inode)?.failed_in == Some(process) {
            self.syncs_after_failure += 1;
        }
        let effect = self.due(Operation::Sync, file);
        let inode = self.inode(inode)?;
        match effect {
            None | Some(Effect::Stall(_)) => {
                inode.sync();
                return Ok(());
            }
            Some(Effect::PowerOff) => {
                self.off = true;
                return self.check();
            }
            Some(Effect::FailSync(SyncFailure::Reverts)) => inode.revert(),
            Some(Effect::FailSync(SyncFailure::KeepsCache) | Effect::Fail(_)) => inode.dirty.clear(),
        }
        inode.failed_in = Some(process);
        Err(io::Error::other("the disk did not take it"))
    }

    pub(super) fn has_unsynced(&self) -> bool {
        !self.names.journal.is_empty() || self.inodes.values().any(|inode| !inode.dirty.is_empty())
    }

    pub(super) fn lose_power(&mut self, rng: &mut fastrand::Rng) {
        let fates = Fates::draw(rng);
        for inode in self.inodes.values_mut() {
            inode.lose_power(rng, &fates);
        }
        self.names.lose_power(rng);
        let durable: BTreeSet<u64> = self.names.live.values().copied().collect();
        self.inodes.retain(|inode, _| durable.contains(inode));
    }

    /// Fences what the process had open.
    pub(super) fn end_process(&mut self) {
        self.process += 1;
        self.off = false;
        self.faults.clear();
        self.locks.clear();
    }
}

/// How likely a sector that was not synced is old, new or zero, in tenths; else it is garbage.
struct Fates {
    old: u8,
    new: u8,
    zero: u8,
}

impl Fates {
    /// Some losses lose all, some nothing, most a part.
    fn draw(rng: &mut fastrand::Rng) -> Self {
        match rng.u8(..6) {
            0 => Self { old: 10, new: 0, zero: 0 },
            1 => Self { old: 0, new: 10, zero: 0 },
            2 => Self { old: 1, new: 9, zero: 0 },
            3 => Self { old: 5, new: 5, zero: 0 },
            4 => Self { old: 1, new: 7, zero: 1 },
            _ => Self { old: 3, new: 3, zero: 2 },
        }
    }
}

/// A file's content.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    /// What a process reads.
    pub(super) live: Vec<u8>,
    /// What the disk holds.
    durable: Vec<u8>,
    /// Sectors in which they may differ.
    dirty: BTreeSet<usize>,
    /// The process that saw a sync of it fail.
    failed_in: Option<u64>,
}

impl Inode {
    pub(super) fn write(&mut self, offset: usize, slices: &[IoSlice<'_>]) {
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        if total == 0 {
            return;
        }
        if self.live.len() < offset + total {
            self.live.resize(offset + total, 0);
        }
        self.dirty.extend(offset / SECTOR..(offset + total).div_ceil(SECTOR));
        let mut at = offset;
        for slice in slices {
            self.live[at..at + slice.len()].copy_from_slice(slice);
            at += slice.len();
        }
    }

    pub(super) fn set_len(&mut self, size: usize) {
        // What is cut off and comes back reads as zero.
        self.dirty.extend(size / SECTOR..self.live.len().div_ceil(SECTOR));
        self.live.resize(size, 0);
    }

    fn sync(&mut self) {
        self.durable.resize(self.live.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            if let Some(range) = range(sector, self.live.len()) {
                self.durable[range.clone()].copy_from_slice(&self.live[range]);
            }
        }
    }

    /// The old content of whatever was not durable.
    fn revert(&mut self) {
        self.live.clone_from(&self.durable);
        self.dirty.clear();
    }

    fn lose_power(&mut self, rng: &mut fastrand::Rng, fates: &Fates) {
        let written = std::mem::take(&mut self.live);
        if self.durable.len() != written.len() && rng.bool() {
            self.durable.resize(written.len(), 0);
        }
        for sector in std::mem::take(&mut self.dirty) {
            let Some(range) = range(sector, self.durable.len()) else { continue };
            let fate = rng.u8(..10);
            if fate < fates.old {
                continue;
            }
            let to = &mut self.durable[range.clone()];
            if fate < fates.old + fates.new {
                let from = written.get(range.start..range.end.min(written.len())).unwrap_or_default();
                to[..from.len()].copy_from_slice(from);
            } else if fate < fates.old + fates.new + fates.zero {
                to.fill(0);
            } else {
                rng.fill(to);
            }
        }
        self.live.clone_from(&self.durable);
        self.failed_in = None;
    }

    pub(super) fn flip(&mut self, offset: usize, mask: u8) {
        for bytes in [&mut self.live, &mut self.durable] {
            if let Some(byte) = bytes.get_mut(offset) {
                *byte ^= mask;
            }
        }
    }
}

/// The bytes of a sector, as far as a file of `size` has them.
fn range(sector: usize, size: usize) -> Option<std::ops::Range<usize>> {
    let start = sector * SECTOR;
    (start < size).then(|| start..(start + SECTOR).min(size))
}

/// Which name is which file.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    /// What a process sees.
    pub(super) live: BTreeMap<PathBuf, u64>,
    durable: BTreeMap<PathBuf, u64>,
    /// What was done since the directory was synced, in order.
    journal: Vec<NameChange>,
}

#[derive(Clone, Debug)]
enum NameChange {
    Link(PathBuf, u64),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf, u64),
}

impl NameChange {
    fn dir(&self) -> Option<&Path> {
        match self {
            Self::Link(file, _) | Self::Unlink(file) | Self::Rename(_, file, _) => file.parent(),
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            Self::Link(file, inode) => {
                names.insert(file.clone(), *inode);
            }
            Self::Unlink(file) => {
                names.remove(file);
            }
            Self::Rename(from, to, inode) => {
                if names.get(from) == Some(inode) {
                    names.remove(from);
                }
                names.insert(to.clone(), *inode);
            }
        }
    }
}

impl Names {
    fn note(&mut self, change: NameChange) {
        change.apply(&mut self.live);
        self.journal.push(change);
    }

    fn link(&mut self, file: &Path, inode: u64) {
        self.note(NameChange::Link(file.to_owned(), inode));
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let inode = *self.live.get(from).ok_or(io::ErrorKind::NotFound)?;
        self.note(NameChange::Rename(from.to_owned(), to.to_owned(), inode));
        Ok(())
    }

    pub(super) fn remove(&mut self, file: &Path) -> io::Result<()> {
        if !self.live.contains_key(file) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.note(NameChange::Unlink(file.to_owned()));
        Ok(())
    }

    pub(super) fn sync(&mut self, dir: &Path) {
        let (synced, waiting) =
            std::mem::take(&mut self.journal).into_iter().partition(|change| change.dir() == Some(dir));
        self.journal = waiting;
        let synced: Vec<NameChange> = synced;
        synced.iter().for_each(|change| change.apply(&mut self.durable));
    }

    fn lose_power(&mut self, rng: &mut fastrand::Rng) {
        for change in std::mem::take(&mut self.journal) {
            if rng.bool() {
                change.apply(&mut self.durable);
            }
        }
        self.live.clone_from(&self.durable);
    }
}
