//! What the leader knows of one follower's log, and what it may send next (Raft §5.3; pipelining: thesis
//! §10.2.1).
//!
//! ```text
//! Probe      one request at a time, until the follower says where the logs agree
//!    │  ▲
//! acknowledged, refused, lost
//!    ▼  │
//! Replicate  requests follow one another without waiting, as far as the window allows
//! ```
//!
//! Answers are matched to requests by number: only the answer to a request that is in the window moves
//! `next` or changes the state. A late acknowledgement is still true, so it may raise `matched`, unless
//! the follower has since been found to have lost entries (openraft cecb5de8 counted those); a late refusal
//! is not, so it is dropped (openraft fbbf37b1 rewound to zero on one).

use std::fmt;

use super::{
    TermRuns, WindowLimits,
    inflight::{Inflight, Sent},
};
use crate::types::{LogId, LogIndex};

/// One follower, in one tenure of one leader.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Everything up to here is durable on the follower and equal to the leader's log.
    matched: LogIndex,
    /// The first entry of the next request; always behind `matched` (etcd's `Next <= Match`, etcd/raft#149).
    next: LogIndex,
    probing: bool,
    /// At most one request while probing.
    window: Inflight,
    /// The largest index sent so far: nothing beyond it can be acknowledged (braft#479).
    reached: LogIndex,
    /// The newest request.
    newest: u64,
    /// Acknowledgements of requests up to this one may be from before the follower lost entries.
    outdated: u64,
}

impl Progress {
    /// A follower of which nothing is known; the first probe asks about the entry before `next`.
    pub fn new(next: LogIndex, limits: WindowLimits) -> Self {
        Self {
            matched: LogIndex::ZERO,
            next: next.max(LogIndex(1)),
            probing: true,
            window: Inflight::new(limits),
            reached: LogIndex::ZERO,
            newest: 0,
            outdated: 0,
        }
    }

    /// Everything up to here is durable on the follower and equal to the leader's log.
    pub fn matched(&self) -> LogIndex {
        self.matched
    }

    /// The first entry of the next request; its `prev` is the one before.
    pub fn next(&self) -> LogIndex {
        self.next
    }

    /// Whether it is not known yet where the logs agree.
    pub fn is_probing(&self) -> bool {
        self.probing
    }

    /// Whether nothing is on its way.
    pub fn is_idle(&self) -> bool {
        self.window.is_empty()
    }

    /// Whether another request may leave: one alone while probing, else what the window allows.
    pub fn may_send(&self) -> bool {
        if self.probing { self.window.is_empty() } else { self.window.has_room() }
    }

    /// A request with the entries from `next` to `last` left (`next - 1` if it has none); `bytes` is what
    /// its entries take. Request numbers rise.
    ///
    /// # Panics
    /// If nothing may be sent, or `last` is before the request's own beginning: a broken invariant.
    pub fn sent(&mut self, request: u64, last: LogIndex, bytes: usize) {
        let prev = self.next.prev();
        assert!(self.may_send(), "request {request} to a follower that may not be sent one: {self}");
        assert!(last >= prev, "request {request} ends at {last}, before it begins: {self}");
        self.window.push(Sent { request, prev, last, bytes });
        self.reached = self.reached.max(last);
        self.newest = request;
        if !self.probing {
            self.next = last.next();
        }
    }

    /// The follower answered `request`: everything up to `matched` is equal and durable there. Returns
    /// whether that is more than was known.
    ///
    /// Frees the window of this request and of those sent before it. An index that was never sent is
    /// no answer of a correct follower and changes nothing; nor does what may be true no longer.
    pub fn acknowledged(&mut self, request: u64, matched: LogIndex) -> bool {
        if matched > self.reached || request <= self.outdated {
            return false;
        }
        let rose = matched > self.matched;
        self.matched = self.matched.max(matched);
        if self.window.get(request).is_some() {
            self.window.free_through(request);
            if self.probing || self.window.is_empty() {
                // Nothing is on its way, so what is not matched has to be sent again.
                self.next = self.matched.next();
            }
            self.probing = false;
        }
        self.next = self.next.max(self.matched.next());
        self.assert_invariants();
        rose
    }

    /// The follower refused `request`: it does not hold the entry at `refused`, just before the
    /// request's own; `hint` says where its log may agree with `ours`. Returns whether `next` moved.
    ///
    /// Goes back to the last entry that may be common, never into what is matched. If exactly the last
    /// matched entry was refused, the follower lost what it had acknowledged (a damaged tail was cut at
    /// its restart): then nothing is known of it any more, and no request sent so far will tell.
    pub fn refused(&mut self, request: u64, refused: LogIndex, hint: LogId, ours: &TermRuns) -> bool {
        let current = self.window.get(request).is_some_and(|sent| sent.prev == refused);
        if !current || refused == LogIndex::ZERO {
            return false;
        }
        if refused <= self.matched {
            self.matched = LogIndex::ZERO;
            self.outdated = self.newest;
        }
        self.probe_again();
        // A hint that leads nowhere still costs the follower one index a round.
        let common = ours.agreement_before(hint).index.min(refused.prev());
        self.next = common.max(self.matched).next();
        self.assert_invariants();
        true
    }

    /// `request` will have no answer. Forgets everything on its way and probes again: at the same place
    /// if no probe was answered yet, else behind what is matched.
    ///
    /// A request that is forgotten already changes nothing, so that a broken connection that fails every
    /// request on it counts once.
    pub fn lost(&mut self, request: u64) {
        if self.window.get(request).is_none() {
            return;
        }
        if !self.probing {
            self.next = self.matched.next();
        }
        self.probe_again();
        self.assert_invariants();
    }

    /// Starts over with a probe about the entry before `next`: after a snapshot was installed, or when
    /// another connection begins.
    pub fn reset(&mut self, next: LogIndex) {
        self.next = next.max(LogIndex(1));
        if self.matched >= self.next {
            self.matched = LogIndex::ZERO;
        }
        self.probe_again();
        self.assert_invariants();
    }

    fn probe_again(&mut self) {
        self.probing = true;
        self.window.clear();
    }

    fn assert_invariants(&self) {
        assert!(self.matched < self.next, "next must lie behind what is matched: {self}");
        assert!(!self.probing || self.window.len() <= 1, "one probe at a time: {self}");
    }
}

impl fmt::Display for Progress {
    /// `probe match=3 next=9 inflight=1 (0 B)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.probing { "probe" } else { "replicate" };
        let (count, bytes) = (self.window.len(), self.window.bytes());
        write!(f, "{state} match={} next={} inflight={count} ({bytes} B)", self.matched, self.next)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::term_runs::tests::{id, log},
        *,
    };

    const LIMITS: WindowLimits = WindowLimits { requests: 3, bytes: 100 };

    fn probing(next: u64) -> Progress {
        Progress::new(LogIndex(next), LIMITS)
    }

    /// A follower whose probe about `matched` was acknowledged.
    fn replicating(matched: u64) -> Progress {
        let mut progress = probing(matched + 1);
        progress.sent(1, LogIndex(matched), 0);
        progress.acknowledged(1, LogIndex(matched));
        progress
    }

    #[test]
    fn a_probe_waits_for_its_answer() {
        let mut progress = probing(9);
        progress.sent(1, LogIndex(8), 0);
        assert!(!progress.may_send());
        assert_eq!(progress.to_string(), "probe match=0 next=9 inflight=1 (0 B)");
        assert!(progress.acknowledged(1, LogIndex(8)));
        assert_eq!(progress.to_string(), "replicate match=8 next=9 inflight=0 (0 B)");
    }

    #[test]
    fn replication_goes_on_without_waiting_until_the_window_is_full() {
        let mut progress = replicating(8);
        for (request, last) in [(2, 10), (3, 12), (4, 14)] {
            progress.sent(request, LogIndex(last), 10);
        }
        assert_eq!(progress.to_string(), "replicate match=8 next=15 inflight=3 (30 B)");
        assert!(!progress.may_send());
        assert!(progress.acknowledged(3, LogIndex(12)), "also answers request 2");
        assert_eq!(progress.to_string(), "replicate match=12 next=15 inflight=1 (10 B)");
    }

    #[test]
    fn late_and_doubled_acknowledgements_do_no_harm() {
        let mut progress = replicating(8);
        progress.sent(2, LogIndex(10), 10);
        progress.sent(3, LogIndex(12), 10);
        progress.acknowledged(3, LogIndex(12));
        assert!(!progress.acknowledged(3, LogIndex(12)));
        assert!(!progress.acknowledged(2, LogIndex(10)));
        assert_eq!(progress.to_string(), "replicate match=12 next=13 inflight=0 (0 B)");
    }

    #[test]
    fn what_was_never_sent_cannot_be_acknowledged() {
        let mut progress = replicating(8);
        progress.sent(2, LogIndex(10), 10);
        assert!(!progress.acknowledged(2, LogIndex(11)));
        assert!(!progress.acknowledged(2, LogIndex(u64::MAX)));
        assert_eq!(progress.to_string(), "replicate match=8 next=11 inflight=1 (10 B)");
    }

    #[test]
    fn a_refusal_goes_back_to_where_the_logs_may_agree() {
        let ours = log(LogId::ZERO, &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6]);
        let mut progress = probing(11);
        progress.sent(1, LogIndex(10), 0);
        assert!(progress.refused(1, LogIndex(10), id(7, 4), &ours));
        assert_eq!(progress.to_string(), "probe match=0 next=6 inflight=0 (0 B)");
    }

    #[test]
    fn a_refusal_that_is_late_or_not_of_this_request_is_dropped() {
        let ours = log(LogId::ZERO, &[1; 20]);
        let mut progress = replicating(8);
        progress.sent(2, LogIndex(10), 0);
        let before = progress.to_string();
        assert!(!progress.refused(1, LogIndex(8), LogId::ZERO, &ours), "answered already");
        assert!(!progress.refused(2, LogIndex(5), LogId::ZERO, &ours), "not what it asked");
        assert!(!progress.refused(7, LogIndex(8), LogId::ZERO, &ours), "never sent");
        assert_eq!(progress.to_string(), before);
    }

    #[test]
    fn a_refusal_never_goes_back_into_what_is_matched() {
        let ours = log(LogId::ZERO, &[1; 20]);
        let mut progress = replicating(8);
        progress.sent(2, LogIndex(10), 0);
        progress.sent(3, LogIndex(12), 0);
        assert!(progress.refused(3, LogIndex(10), id(2, 1), &ours));
        assert_eq!(progress.to_string(), "probe match=8 next=9 inflight=0 (0 B)");
    }

    #[test]
    fn a_follower_that_lost_what_it_had_acknowledged_is_found_again() {
        let ours = log(LogId::ZERO, &[1; 20]);
        let mut progress = replicating(8);
        progress.sent(2, LogIndex(10), 0);
        assert!(progress.refused(2, LogIndex(8), id(5, 1), &ours));
        assert_eq!(progress.to_string(), "probe match=0 next=6 inflight=0 (0 B)");
    }

    #[test]
    fn a_hint_below_the_leaders_base_asks_for_what_is_compacted() {
        let ours = log(id(10, 2), &[2, 2]);
        let mut progress = probing(13);
        progress.sent(1, LogIndex(12), 0);
        progress.refused(1, LogIndex(12), id(3, 1), &ours);
        assert_eq!(progress.next(), LogIndex(4));
        assert_eq!(ours.term_at(progress.next().prev()), None, "only a snapshot helps");
    }

    #[test]
    fn a_hint_that_leads_nowhere_still_makes_way() {
        let ours = log(LogId::ZERO, &[1; 20]);
        let mut progress = probing(21);
        progress.sent(1, LogIndex(20), 0);
        assert!(progress.refused(1, LogIndex(20), id(u64::MAX, u64::MAX), &ours));
        assert_eq!(progress.next(), LogIndex(20));
    }

    #[test]
    fn a_lost_request_empties_the_window_and_its_late_answer_only_counts_as_matched() {
        let mut progress = replicating(8);
        progress.sent(2, LogIndex(10), 10);
        progress.sent(3, LogIndex(12), 10);
        progress.lost(3);
        assert_eq!(progress.to_string(), "probe match=8 next=9 inflight=0 (0 B)");
        progress.sent(4, LogIndex(9), 10);
        assert!(progress.acknowledged(2, LogIndex(10)), "true, though late");
        assert_eq!(progress.to_string(), "probe match=10 next=11 inflight=1 (10 B)");
        progress.lost(2);
        assert!(!progress.is_idle(), "the probe is still on its way");
    }

    #[test]
    fn a_lost_first_probe_is_asked_again_at_the_same_place() {
        let mut progress = probing(1000);
        progress.sent(1, LogIndex(999), 0);
        progress.lost(1);
        assert_eq!(progress.to_string(), "probe match=0 next=1000 inflight=0 (0 B)");
    }

    #[test]
    fn what_was_answered_but_is_not_matched_is_sent_again() {
        let mut progress = replicating(8);
        progress.sent(2, LogIndex(12), 10);
        progress.acknowledged(2, LogIndex(9));
        assert_eq!(progress.next(), LogIndex(10));
    }

    #[test]
    fn a_reset_begins_again_with_a_probe() {
        let mut progress = replicating(8);
        progress.sent(2, LogIndex(12), 10);
        progress.reset(LogIndex(101));
        assert_eq!(progress.to_string(), "probe match=8 next=101 inflight=0 (0 B)");
        progress.reset(LogIndex(0));
        assert_eq!(progress.to_string(), "probe match=0 next=1 inflight=0 (0 B)");
    }

    #[test]
    #[should_panic(expected = "may not be sent one")]
    fn a_second_probe_is_a_broken_invariant() {
        let mut progress = probing(9);
        progress.sent(1, LogIndex(8), 0);
        progress.sent(2, LogIndex(8), 0);
    }

    proptest! {
        /// Whatever answers come, in whatever order: the invariants hold, nothing is matched that was not
        /// sent, and a follower that then answers honestly gets the whole log.
        #[test]
        fn any_answers_leave_a_progress_that_still_completes(
            answers in proptest::collection::vec((0_u8..4, 0_u64..12, 0_u64..25, 0_u64..4), 0..40),
        ) {
            let ours = log(LogId::ZERO, &[1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3]);
            let last = ours.last().index;
            let mut progress = probing(12);
            let mut request = 0;
            let mut reached = LogIndex::ZERO;
            for (kind, number, index, term) in answers {
                if progress.may_send() {
                    request += 1;
                    let end = progress.next().plus(2).min(last);
                    reached = reached.max(end);
                    progress.sent(request, end, 10);
                }
                match kind {
                    0 => drop(progress.acknowledged(number, LogIndex(index))),
                    1 => drop(progress.refused(number, LogIndex(index), id(index, term), &ours)),
                    2 => drop(progress.refused(request, progress.next().prev(), id(index, term), &ours)),
                    _ => progress.lost(number),
                }
                prop_assert!(progress.matched() <= reached && progress.matched() < progress.next());
            }
            progress.lost(request);
            for _ in 0..20 {
                let mut end = progress.next().prev();
                while progress.may_send() && (progress.is_probing() || end < last) {
                    request += 1;
                    end = progress.next().plus(2).min(last);
                    progress.sent(request, end, 10);
                }
                progress.acknowledged(request, end);
            }
            prop_assert_eq!(progress.matched(), last);
        }
    }
}
