//! Batches on their way: to the leader here or elsewhere, and to their end.

use super::{
    RaftSystem,
    batch::{Batch, Outcome, Reach, Refusal},
};
use crate::{
    error::UnknownReason,
    messages::{Proposal, Propose, Replied},
    state_machine::StateMachine,
    types::{EntryBuffer, LogId, LogIndex},
};

impl<S: StateMachine> RaftSystem<S> {
    /// Sends on what was collected.
    pub(super) fn cut_batch(&mut self) {
        self.cut(Reach::Cluster);
    }

    pub(super) fn cut_remote_batch(&mut self) {
        self.cut(Reach::Node);
    }

    fn cut(&mut self, reach: Reach) {
        if self.intake.buffer.is_empty() {
            return;
        }
        let (buffer, waiting, credits) = self.intake.take();
        self.intake.count_max = self.node.batch_commands_max();
        let batch = Batch::new(Proposal::new(buffer), waiting, reach, credits);
        self.route(batch);
    }

    /// Gives a batch that nobody has taken yet to whoever leads.
    pub(super) fn route(&mut self, batch: Batch<S>) {
        if let Some(leader) = &self.leadership.here {
            leader.propose.send_now(Propose(batch.proposal.clone()));
            self.node.awaited.set(true);
            self.proposed.push_back(batch);
            return self.expect_more();
        }
        let elsewhere = self.leadership.leader.clone().filter(|leader| leader.id != self.node.id);
        match elsewhere {
            _ if batch.reach != Reach::Cluster => self.refuse(batch, &Refusal::NotLeader(elsewhere)),
            _ if !self.node.config.forwarding => self.refuse(batch, &Refusal::NotLeader(elsewhere)),
            Some(leader) => self.forward(batch, &leader),
            None => self.held.push_back(batch),
        }
    }

    /// Tries again what found nobody to lead.
    pub(super) fn route_held(&mut self) {
        if self.leadership.leader.is_some() {
            for batch in std::mem::take(&mut self.held) {
                self.route(batch);
            }
        }
    }

    /// Refuses a batch that nobody has taken.
    pub(super) fn refuse(&mut self, mut batch: Batch<S>, refusal: &Refusal) {
        if let Some(buffer) = batch.proposal.take() {
            batch.refuse(refusal, buffer.data());
        } else {
            batch.doubt_beyond(LogIndex::ZERO, &UnknownReason::LeadershipLost);
        }
    }

    /// The reply to the command at `at`, if it came from here.
    pub(super) fn resolve(&mut self, at: LogId, replied: Replied<S>) {
        if self.proposed.front().and_then(Batch::next_at) != Some(at) {
            self.give_up_replaced(at);
        }
        let Some(batch) = self.proposed.front_mut().filter(|batch| batch.next_at() == Some(at)) else {
            return;
        };
        batch.settle_next(Outcome::of_replied(at, replied));
        if batch.is_done()
            && let Some(batch) = self.proposed.pop_front()
        {
            self.intake.recycle(batch.into_waiting());
        }
    }

    /// `applied` is applied and everything before it is answered. Whoever still waits for an entry up to
    /// there lost it to another term's: it is not applied, but the command is no longer here to be given
    /// back as refused.
    pub(super) fn give_up_replaced(&mut self, applied: LogId) {
        while let Some(next) = self.proposed.front().and_then(Batch::next_at) {
            if next == applied || next.index > applied.index {
                return;
            }
            let Some(mut batch) = self.proposed.pop_front() else { return };
            batch.doubt_beyond(LogIndex::ZERO, &UnknownReason::LeadershipLost);
        }
    }

    /// Everything up to `index` came with a snapshot: whoever waits for an entry of it has no reply, and never will.
    pub(super) fn give_up_through(&mut self, index: LogIndex) {
        while self.proposed.front().and_then(Batch::next_at).is_some_and(|next| next.index <= index) {
            let Some(mut batch) = self.proposed.pop_front() else { return };
            batch.doubt_beyond(LogIndex::ZERO, &UnknownReason::LeadershipLost);
        }
    }

    /// The leader here is deposed. What it never took goes on to the next one; what it took and what is
    /// not known to be committed is in doubt: another node may still hold it.
    pub(super) fn leadership_lost(&mut self) {
        let commit = self.node.log.borrow().commit();
        for mut batch in std::mem::take(&mut self.proposed) {
            if let Some(buffer) = batch.proposal.take() {
                if batch.reach == Reach::Term {
                    batch.refuse(&Refusal::NotLeader(None), buffer.data());
                } else if !batch.is_abandoned() {
                    // What everybody gave up on is not begun any more.
                    batch.proposal = Proposal::new(buffer);
                    self.held.push_back(batch);
                }
            } else {
                batch.doubt_beyond(commit, &UnknownReason::LeadershipLost);
                if !batch.is_abandoned() {
                    self.proposed.push_back(batch);
                }
            }
        }
        // The held of other nodes must not wait: they are not passed on.
        for batch in std::mem::take(&mut self.held) {
            self.route(batch);
        }
    }

    /// Ends what has waited long enough.
    pub(super) fn expire_writes(&mut self) {
        let now = self.now;
        for batch in &mut self.proposed {
            let first = batch.proposal.first();
            batch.expire(now, |number| {
                let index = first.map(|first| first.index.plus(number as u64));
                Outcome::Unknown(index, UnknownReason::Deadline)
            });
        }
        for batch in self.forwarded.values_mut() {
            batch.expire(now, |_| Outcome::Unknown(None, UnknownReason::Deadline));
        }
        self.forwarded.retain(|_, batch| !batch.is_abandoned());
        self.expire_held();
    }

    /// Held batches were not given to anybody: at the first deadline of one it is refused whole. To refuse
    /// one caller and keep the rest would send on a command that was called not applied.
    fn expire_held(&mut self) {
        for batch in std::mem::take(&mut self.held) {
            if batch.is_due(self.now) {
                self.refuse(batch, &Refusal::NotLeader(None));
            } else {
                self.held.push_back(batch);
            }
        }
    }

    /// Refuses what nobody has taken and doubts the rest: the node is going down.
    pub(super) fn settle_all_writes(&mut self, refusal: &Refusal) {
        self.settle_intake(refusal);
        for batch in std::mem::take(&mut self.held) {
            self.refuse(batch, refusal);
        }
        for mut batch in std::mem::take(&mut self.proposed) {
            match batch.proposal.take() {
                Some(buffer) => batch.refuse(refusal, buffer.data()),
                None => batch.doubt_beyond(LogIndex::ZERO, &UnknownReason::Stopped),
            }
        }
        for (_, mut batch) in std::mem::take(&mut self.forwarded) {
            batch.doubt_beyond(LogIndex::ZERO, &UnknownReason::Stopped);
        }
        self.node.awaited.set(false);
    }

    /// Refuses what is collected and not cut yet.
    pub(super) fn settle_intake(&mut self, refusal: &Refusal) {
        if self.intake.buffer.is_empty() {
            return;
        }
        let (buffer, waiting, credits) = self.intake.take();
        let proposal = Proposal::new(EntryBuffer::default());
        let batch = Batch::new(proposal, waiting, Reach::Cluster, credits);
        batch.refuse(refusal, buffer.data());
    }
}
