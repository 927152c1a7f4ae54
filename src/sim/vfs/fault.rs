//! What can go wrong, where and when.

use std::{fmt, io, path::Path, sync::Arc};

/// A kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Opening a file that exists.
    Open,
    /// Reading a file.
    Read,
    /// Making a file, or emptying it.
    Create,
    /// Writing to a file.
    Write,
    /// Taking room for a file.
    Allocate,
    /// Setting a file's length.
    SetLen,
    /// Syncing a file's content.
    Sync,
    /// Renaming a file, by its old name.
    Rename,
    /// Removing a file.
    Remove,
    /// Syncing a directory.
    SyncDir,
}

impl Operation {
    /// Whether it changes the disk, and so counts as a point at which to lose power.
    pub fn changes(self) -> bool {
        !matches!(self, Self::Open | Self::Read)
    }
}

/// What a file holds after a sync of it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncFailure {
    /// What was written is read back, is not durable, and never will be: the pages are marked clean
    /// (ext4, XFS).
    KeepsCache,
    /// What was written is gone: the old content is read back (Btrfs).
    Reverts,
}

/// Called while an operation waits, with the file's name.
#[derive(Clone)]
pub struct StallHook(Arc<dyn Fn(&Path) + Send + Sync>);

impl StallHook {
    /// A hook. It may use the disk.
    pub fn new(hook: impl Fn(&Path) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hook))
    }

    pub(super) fn run(&self, file: &Path) {
        (self.0)(file);
    }
}

impl fmt::Debug for StallHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StallHook")
    }
}

/// What happens.
#[derive(Clone, Debug)]
pub enum Effect {
    /// The operation is under way, and everything fails from then on until
    /// [`SimVfs::power_loss`](super::SimVfs::power_loss): what it changed may survive or not. A sync
    /// does not complete.
    PowerOff,
    /// The operation fails and changes nothing.
    Fail(io::ErrorKind),
    /// A sync fails.
    FailSync(SyncFailure),
    /// The operation waits while the hook runs, then goes on.
    Stall(StallHook),
}

/// A planned fault: strikes once, at one of the operations that it names.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The kind; `None` for any that changes the disk.
    pub operation: Option<Operation>,
    /// A part of the file's path; empty for any.
    pub file: String,
    /// How many of these pass first.
    pub skip: u64,
    /// What happens then.
    pub effect: Effect,
}

impl Fault {
    /// At the next `operation`.
    pub fn at(operation: Operation, effect: Effect) -> Self {
        Self { operation: Some(operation), file: String::new(), skip: 0, effect }
    }

    /// Loses power at the changing operation that `skip` others precede, counted from now.
    pub fn power_off_at(skip: u64) -> Self {
        Self { operation: None, file: String::new(), skip, effect: Effect::PowerOff }
    }

    /// Only for files with `part` in their path.
    pub fn on(mut self, part: &str) -> Self {
        part.clone_into(&mut self.file);
        self
    }

    /// Only after `skip` others have passed.
    pub fn after(mut self, skip: u64) -> Self {
        self.skip = skip;
        self
    }

    pub(super) fn matches(&self, operation: Operation, file: &Path) -> bool {
        let kind = self.operation.map_or(operation.changes(), |wanted| wanted == operation);
        kind && file.to_string_lossy().contains(&self.file)
    }
}
