//! A snapshot makes the front of the log superfluous.

use actix::Handler;

use super::Consensus;
use crate::{
    mailbox::Context,
    messages::{SaveIdentity, SnapshotTaken},
    protocol::{compaction_base, keep_behind_sent},
    types::LogIndex,
};

impl Consensus {
    /// Removes what a snapshot of everything up to `snapshot` holds, but for the trailing entries.
    pub(super) fn compact(&mut self, snapshot: LogIndex) {
        let settings = self.node.reloadable();
        let upto = compaction_base(snapshot, settings.trailing_logs, self.durable());
        let upto = keep_behind_sent(upto, self.node.oldest_sent(), settings.snapshot_threshold);
        if upto > self.node.log.borrow().base().index {
            self.remember_cluster();
        }
        let base = self.node.log.borrow_mut().compact(upto);
        if let Some(base) = base {
            tracing::debug!(node = %self.node.id, base = %base.last, "compacted the log");
            self.node.ports().storage.purge(base);
        }
    }

    /// The cluster's identity is the hash of entry 1, which is about to go: a directory that does not say yet whose it
    /// is must do so before. A quarantined node follows its cluster without having written that down.
    fn remember_cluster(&self) {
        let cluster = self.node.cluster();
        if self.node.board.identity().cluster.is_none() && !cluster.is_none() {
            self.node.ports().storage.save_identity(SaveIdentity { cluster, member: false });
        }
    }
}

impl Handler<SnapshotTaken> for Consensus {
    type Result = ();

    fn handle(&mut self, SnapshotTaken { description }: SnapshotTaken, _: &mut Context<Self>) {
        self.compact(description.last.index);
    }
}
