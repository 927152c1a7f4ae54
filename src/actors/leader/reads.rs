//! Reads: which index they must wait for, confirmed by a quorum (thesis §6.4); the lease (§6.4.1).

use actix::Handler;

use super::Leader;
use crate::{
    known_bug::KnownBug,
    messages::{HeartbeatNow, OWN_SESSION, ReadIndex, ReadIndexReady, RoundAcked},
    protocol::Lease,
};

impl Leader {
    /// The leader knows what was committed before it once an entry of its own is.
    pub(super) fn open_lease(&mut self) {
        if self.node.log.borrow().commit() >= self.start {
            self.with_lease(Lease::open);
        }
    }

    /// After every promise of a voter, and whenever other nodes vote than before.
    pub(super) fn renew_lease(&mut self) {
        let until = self.contact.quorum_until();
        self.with_lease(|lease| lease.renew(until));
    }

    pub(super) fn with_lease(&self, change: impl FnOnce(&mut Lease)) {
        let mut lease = self.lease.get();
        change(&mut lease);
        self.lease.set(lease);
    }

    /// Begins a round for the reads that wait, unless one is running.
    pub(super) fn begin_round(&mut self) {
        let commit = self.node.log.borrow().commit();
        if commit < self.start && !KnownBug::ReadBeforeTermCommit.is_back() {
            return;
        }
        for reads in self.early.drain(..) {
            self.reads.join(reads);
        }
        let Some(round) = self.reads.begin(commit, self.voters.iter().copied(), Some(OWN_SESSION)) else {
            return;
        };
        self.node.board.counters.read_rounds.add(1);
        for peer in &self.peers {
            peer.heartbeater.send_now(HeartbeatNow { round });
        }
        self.round_acked(OWN_SESSION, round);
    }

    fn round_acked(&mut self, session: u64, round: u64) {
        let Some((index, reads)) = self.reads.acknowledged(session, round) else { return };
        for reads in reads {
            self.node.ports().front.read_index_ready(ReadIndexReady { reads, index });
        }
        // A follower that asked waits for its own state machine: let it know the commit index now.
        self.replicate();
        self.begin_round();
    }
}

impl Handler<ReadIndex> for Leader {
    type Result = ();

    fn handle(&mut self, ReadIndex { reads }: ReadIndex, _: &mut Self::Context) {
        if !self.tenure.is_live() {
            return;
        }
        self.early.push(reads);
        self.begin_round();
    }
}

impl Handler<RoundAcked> for Leader {
    type Result = ();

    fn handle(&mut self, message: RoundAcked, _: &mut Self::Context) {
        if self.tenure.is_live() {
            self.contact.heard(message.session, message.sent_at);
            self.note_heard(message.session, message.sent_at);
            let until = self.lease.get().end_of_promise(message.sent_at, message.sticks_for);
            self.contact.promised(message.session, until);
            self.renew_lease();
            self.round_acked(message.session, message.round);
        }
    }
}
