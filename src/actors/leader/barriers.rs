//! Barriers: entries of nothing that are behind everything proposed before them.

use std::collections::VecDeque;

use actix::Handler;

use super::Leader;
use crate::{
    mailbox::Context,
    messages::{AppendBarrier, ReadIndexReady},
    types::{EntryBuffer, EntryKind, LogIndex},
};

/// Who waits for which barrier, by the number of the question.
#[derive(Default)]
pub(super) struct Barriers {
    /// Not appended yet: one entry will do for all of them.
    waiting: Vec<u64>,
    /// Appended in this term, oldest first.
    appended: VecDeque<(LogIndex, Vec<u64>)>,
}

impl Leader {
    /// Appends a barrier for those who wait for one, if everything proposed before is appended.
    pub(super) fn append_barrier(&mut self) {
        if self.barriers.waiting.is_empty() {
            return;
        }
        let mut buffer = EntryBuffer::default();
        buffer.push(EntryKind::Barrier, b"");
        if let Some(at) = self.append(buffer) {
            let waiting = std::mem::take(&mut self.barriers.waiting);
            self.barriers.appended.push_back((at.index, waiting));
        }
    }

    /// Whatever is committed by now is all that was proposed before.
    pub(super) fn pass_barriers(&mut self) {
        let commit = self.node.log.borrow().commit();
        while let Some((index, numbers)) = self.barriers.appended.pop_front_if(|(index, _)| *index <= commit)
        {
            for reads in numbers {
                self.node.ports().front.read_index_ready(ReadIndexReady { reads, index });
            }
            // A follower that asked waits for its own state machine: let it know the commit index now.
            self.replicate();
        }
    }
}

impl Handler<AppendBarrier> for Leader {
    type Result = ();

    fn handle(&mut self, AppendBarrier { reads }: AppendBarrier, _: &mut Context<Self>) {
        if self.tenure.is_live() {
            self.barriers.waiting.push(reads);
            self.take_up();
        }
    }
}
