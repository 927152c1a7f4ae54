//! The requests on their way to one follower, in the order they were sent, and the room for more.

use std::collections::VecDeque;

use crate::{known_bug::KnownBug, types::LogIndex};

/// How much may be on its way to one follower. Both are reached before they bind: a request that begins
/// below the limit in bytes may pass it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowLimits {
    /// Requests.
    pub requests: usize,
    /// Bytes of entries.
    pub bytes: usize,
}

/// A request that has no answer yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    /// Its number.
    pub(super) request: u64,
    /// The index just before its entries.
    pub(super) prev: LogIndex,
    /// Its last index.
    pub(super) last: LogIndex,
    /// The bytes of its entries.
    pub(super) bytes: usize,
}

/// The window.
#[derive(Clone, Debug)]
pub(super) struct Inflight {
    limits: WindowLimits,
    /// Ascending in request number.
    sent: VecDeque<Sent>,
    /// Sum of the bytes in `sent`. Lives and dies with it (etcd e419ba5 forgot to zero it, and sends
    /// stalled for ever).
    bytes: usize,
}

impl Inflight {
    pub(super) fn new(limits: WindowLimits) -> Self {
        Self { limits, sent: VecDeque::new(), bytes: 0 }
    }

    /// Whether another request may leave. An empty window takes one whatever the limits say.
    pub(super) fn has_room(&self) -> bool {
        (self.sent.is_empty() && !KnownBug::InflightBytesKept.is_back())
            || (self.sent.len() < self.limits.requests && self.bytes < self.limits.bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.sent.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, sent: Sent) {
        let newest = self.sent.back().map(|newest| newest.request);
        assert!(newest.is_none_or(|newest| newest < sent.request), "{sent:?} after request {newest:?}");
        self.bytes += sent.bytes;
        self.sent.push_back(sent);
    }

    pub(super) fn get(&self, request: u64) -> Option<Sent> {
        let at = self.sent.partition_point(|sent| sent.request < request);
        self.sent.get(at).copied().filter(|sent| sent.request == request)
    }

    /// Drops `request` and everything sent before it.
    pub(super) fn free_through(&mut self, request: u64) {
        let freed = self.sent.partition_point(|sent| sent.request <= request);
        self.bytes -= self.sent.drain(..freed).map(|sent| sent.bytes).sum::<usize>();
        let sum = || self.sent.iter().map(|sent| sent.bytes).sum::<usize>();
        debug_assert!(self.bytes == sum() || KnownBug::InflightBytesKept.is_back(), "{self:?}");
    }

    /// Forgets every request: what their answers still say frees nothing.
    pub(super) fn clear(&mut self) {
        self.sent.clear();
        if !KnownBug::InflightBytesKept.is_back() {
            self.bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(requests: usize, bytes: usize) -> Inflight {
        Inflight::new(WindowLimits { requests, bytes })
    }

    fn sent(request: u64, bytes: usize) -> Sent {
        Sent { request, prev: LogIndex(request), last: LogIndex(request + 1), bytes }
    }

    #[test]
    fn requests_and_bytes_both_bound_the_window() {
        let mut window = window(2, 100);
        window.push(sent(1, 10));
        assert!(window.has_room());
        window.push(sent(2, 10));
        assert!(!window.has_room(), "two requests");
        window.free_through(2);
        window.push(sent(3, 100));
        assert!(!window.has_room(), "a hundred bytes");
        assert_eq!((window.len(), window.bytes()), (1, 100));
    }

    #[test]
    fn an_empty_window_always_takes_one_request() {
        assert!(window(0, 0).has_room());
    }

    #[test]
    fn an_answer_frees_what_was_sent_before_it() {
        let mut window = window(9, 100);
        for request in [1, 3, 5] {
            window.push(sent(request, 10));
        }
        assert_eq!(window.get(2), None);
        window.free_through(3);
        assert_eq!((window.get(3), window.get(5), window.bytes()), (None, Some(sent(5, 10)), 10));
        window.free_through(3);
        assert_eq!(window.len(), 1, "a second answer frees nothing");
        window.clear();
        assert_eq!((window.is_empty(), window.bytes()), (true, 0));
    }
}
