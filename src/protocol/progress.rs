//! What the leader knows of one follower, and how much may be on its way to it.

use std::{collections::VecDeque, fmt};

use super::TermRuns;
use crate::types::{LogId, LogIndex};

/// How much may be on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowLimits {
    /// Requests.
    pub requests: usize,
    /// Bytes of entries.
    pub bytes: usize,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    request: u64,
    last: LogIndex,
    bytes: usize,
}

/// See the module. `matched < next`.
#[derive(Clone, Debug)]
pub struct Progress {
    matched: LogIndex,
    next: LogIndex,
    probing: bool,
    limits: WindowLimits,
    window: VecDeque<Sent>,
    bytes: usize,
    /// The largest index ever sent: nothing beyond can be acknowledged.
    reached: LogIndex,
}

impl Progress {
    /// A follower of which nothing is known: the first probe begins at `next`.
    pub fn new(next: LogIndex, limits: WindowLimits) -> Self {
        let next = next.max(LogIndex(1));
        Self {
            matched: LogIndex::ZERO,
            next,
            probing: true,
            limits,
            window: VecDeque::new(),
            bytes: 0,
            reached: LogIndex::ZERO,
        }
    }

    /// Everything up to here is on its medium.
    pub fn matched(&self) -> LogIndex {
        self.matched
    }

    /// The next entry to send.
    pub fn next(&self) -> LogIndex {
        self.next
    }

    /// Whether it is not known where the logs agree.
    pub fn is_probing(&self) -> bool {
        self.probing
    }

    /// Whether nothing is on its way.
    pub fn is_idle(&self) -> bool {
        self.window.is_empty()
    }

    /// Whether another request may leave.
    pub fn may_send(&self) -> bool {
        if self.probing {
            self.window.is_empty()
        } else {
            self.window.len() < self.limits.requests && self.bytes < self.limits.bytes
        }
    }

    /// A request with entries up to `last` left.
    pub fn sent(&mut self, request: u64, last: LogIndex, bytes: usize) {
        assert!(self.may_send(), "the window is full: {self}");
        assert!(last >= self.next.prev(), "entries before {} are sent already", self.next);
        self.window.push_back(Sent { request, last, bytes });
        self.bytes += bytes;
        self.reached = self.reached.max(last);
        if !self.probing {
            self.next = last.next();
        }
    }

    /// The follower has everything up to `matched`. Whether that is news.
    pub fn acknowledged(&mut self, request: u64, matched: LogIndex) -> bool {
        if matched > self.reached {
            debug_assert!(false, "acknowledged {matched} of {}", self.reached);
            return false;
        }
        let current = self.window.iter().any(|sent| sent.request == request);
        if current {
            while let Some(sent) = self.window.pop_front_if(|sent| sent.request <= request) {
                self.bytes -= sent.bytes;
            }
            self.probing = false;
        }
        let rose = matched > self.matched;
        self.matched = self.matched.max(matched);
        self.next = self.next.max(self.matched.next());
        rose
    }

    /// The follower does not hold the entry at `refused`. Whether that was news.
    pub fn refused(&mut self, request: u64, refused: LogIndex, hint: LogId, ours: &TermRuns) -> bool {
        let current = self.window.iter().any(|sent| sent.request == request);
        if !current || refused <= self.matched {
            return false;
        }
        self.empty_window();
        let agreed = ours.agreement_before(hint).index;
        self.next = agreed.next().min(refused).max(self.matched.next());
        true
    }

    /// A request and everything on its way are lost.
    pub fn lost(&mut self, request: u64) {
        if self.window.iter().any(|sent| sent.request == request) {
            self.empty_window();
            self.next = if self.matched == LogIndex::ZERO { self.next } else { self.matched.next() };
        }
    }

    fn empty_window(&mut self) {
        self.window.clear();
        self.bytes = 0;
        self.probing = true;
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.probing { "probe" } else { "replicate" };
        write!(f, "{state} match={} next={} inflight={}", self.matched, self.next, self.window.len())
    }
}
