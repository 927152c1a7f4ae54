//! Whether the store is fit for a leader: it has room, and finishes its flushes (hashicorp/raft#503).

use std::time::Duration;

use crate::protocol::StepDownReason;

/// What is known of the store's health. A node with an ailing one neither leads nor stands.
#[derive(Debug, Default)]
pub(super) struct Disk {
    full: bool,
    /// Whether the copy of a user's snapshot waits for room, and all that is to be applied behind it. A leader could
    /// answer nobody.
    copy_waits: bool,
    /// Since when an operation has been waiting without any flush being done.
    waiting_since: Option<Duration>,
    stalled: bool,
}

impl Disk {
    /// What is wrong with it, if anything.
    pub(super) fn ailment(&self) -> Option<StepDownReason> {
        match (self.full || self.copy_waits, self.stalled) {
            (true, _) => Some(StepDownReason::DiskFull),
            (false, true) => Some(StepDownReason::DiskStalled),
            (false, false) => None,
        }
    }

    /// The store has no room, or has room again.
    pub(super) fn set_full(&mut self, full: bool) {
        self.full = full;
    }

    /// The copy of a user's snapshot has no room, or has room again.
    pub(super) fn set_copy_waits(&mut self, waits: bool) {
        self.copy_waits = waits;
    }

    /// Whether it waits for room.
    pub(super) fn copy_waits(&self) -> bool {
        self.copy_waits
    }

    /// The store finished a flush: it moves, however much still waits behind.
    pub(super) fn flushed(&mut self) {
        self.waiting_since = None;
        self.stalled = false;
    }

    /// Time passes; `waits` says whether an operation is not flushed yet. Whether the store has just been
    /// found stalled. One without room is not expected to flush.
    pub(super) fn watch(&mut self, now: Duration, waits: bool, timeout: Duration) -> bool {
        if !waits || self.full {
            self.flushed();
            return false;
        }
        let since = *self.waiting_since.get_or_insert(now);
        let stalled_before = self.stalled;
        self.stalled |= now.saturating_sub(since) > timeout;
        self.stalled && !stalled_before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(5);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_store_without_a_flush_for_too_long_is_stalled() {
        let mut disk = Disk::default();
        assert!(!disk.watch(at(10), true, TIMEOUT) && !disk.watch(at(15), true, TIMEOUT));
        assert!(disk.watch(at(16), true, TIMEOUT), "told once");
        assert!(!disk.watch(at(17), true, TIMEOUT));
        assert_eq!(disk.ailment(), Some(StepDownReason::DiskStalled));
    }

    #[test]
    fn one_flush_ends_a_stall_although_more_waits_at_every_look() {
        let mut disk = Disk::default();
        disk.watch(at(0), true, TIMEOUT);
        disk.watch(at(9), true, TIMEOUT);
        disk.flushed();
        assert_eq!(disk.ailment(), None);
        assert!(!disk.watch(at(10), true, TIMEOUT));
        assert_eq!(disk.ailment(), None);
    }

    #[test]
    fn a_copy_without_room_is_no_room_whatever_the_store_has() {
        let mut disk = Disk::default();
        disk.set_copy_waits(true);
        disk.set_full(true);
        disk.set_full(false);
        assert_eq!(disk.ailment(), Some(StepDownReason::DiskFull));
        assert!(
            !disk.watch(at(0), true, TIMEOUT) && disk.watch(at(6), true, TIMEOUT),
            "its flushes are watched"
        );
        disk.flushed();
        disk.set_copy_waits(false);
        assert_eq!(disk.ailment(), None);
    }

    #[test]
    fn a_full_store_is_full_and_not_stalled() {
        let mut disk = Disk::default();
        disk.set_full(true);
        disk.watch(at(0), true, TIMEOUT);
        disk.watch(at(60), true, TIMEOUT);
        assert_eq!(disk.ailment(), Some(StepDownReason::DiskFull));
        disk.set_full(false);
        assert!(!disk.watch(at(61), true, TIMEOUT));
        assert_eq!(disk.ailment(), None);
    }
}
