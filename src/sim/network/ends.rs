//! Names of what a network is made of: ways, the lanes that use them, and what an event is about.

use std::sync::Arc;

use super::Passage;
use crate::types::Lane;

/// A way from one address to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WayId(pub(super) usize);

/// A lane of a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChannelId {
    /// The way its requests go.
    pub(super) way: WayId,
    pub(super) lane: Lane,
}

/// What an event is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ticket {
    /// The next move of the exchange with this number.
    Exchange(ChannelId, u64),
    /// A request of the past comes once more.
    Past(WayId),
}

/// Whom a channel joins, by name.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) channel: ChannelId,
    /// Who asks.
    pub(super) from: Arc<str>,
    /// Who answers.
    pub(super) to: Arc<str>,
}

impl Ends {
    /// The way of requests.
    pub(super) fn way_there(&self) -> Passage<'_> {
        Passage { from: &self.from, to: &self.to, lane: self.channel.lane }
    }

    /// The way of answers.
    pub(super) fn way_back(&self) -> Passage<'_> {
        Passage { from: &self.to, to: &self.from, lane: self.channel.lane }
    }
}
