//! The state of a network, and the moves of one exchange that several others are made of.
//!
//! What a node does is in `departures`, what time does in `arrivals`, what ends connections in `endings`.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    NetworkFault, Watch,
    channel::{Channel, Exchange, Stage},
    ends::{ChannelId, Ticket, WayId},
    fault::Counts,
    hosts::Hosts,
    queue::Queue,
    remains::{Remains, Rest},
    ways::Ways,
};
use crate::transport::{Responder, RpcError};

pub(super) struct State {
    pub(super) hosts: Hosts,
    pub(super) ways: Ways,
    pub(super) queue: Queue<Ticket>,
    pub(super) counts: Counts,
    pub(super) watch: Option<Arc<dyn Watch>>,
    /// Every message goes through the codec, damaged or not.
    pub(super) is_coding: bool,
    /// What was ended and is to be settled outside the lock.
    pub(super) remains: Vec<Remains>,
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            hosts: Hosts::default(),
            ways: Ways::new(seed),
            queue: Queue::default(),
            counts: Counts::default(),
            watch: None,
            is_coding: false,
            remains: Vec::new(),
        }
    }

    /// The way between two addresses.
    pub(super) fn way(&mut self, from: &str, to: &str) -> WayId {
        let (from, to) = (self.hosts.at(from), self.hosts.at(to));
        self.ways.between(&self.hosts, from, to)
    }

    pub(super) fn channel(&mut self, id: ChannelId) -> &mut Channel {
        self.ways.channel(id)
    }

    pub(super) fn exchange(&mut self, channel: ChannelId, number: u64) -> Option<&mut Exchange> {
        self.channel(channel).exchanges.get_mut(number)
    }

    /// Takes an exchange in. Returns its number.
    pub(super) fn enter(&mut self, channel: ChannelId, exchange: Exchange) -> u64 {
        let exchanges = &mut self.channel(channel).exchanges;
        let number = exchanges.next();
        if let Some(mut oldest) = exchanges.push(exchange) {
            self.counts.add(NetworkFault::Overflow);
            if let Some(asker) = oldest.asker.take() {
                self.remains.push(Remains::Failed(asker, oldest.overflow()));
            }
            self.bury(Rest::Exchange(oldest));
        }
        number
    }

    /// Plans the next move of an exchange, in place of what was planned.
    pub(super) fn plan(&mut self, channel: ChannelId, number: u64, due: Instant) {
        let planned = self.queue.plan(due, Ticket::Exchange(channel, number));
        if let Some(exchange) = self.exchange(channel, number) {
            exchange.planned = Some(planned);
            exchange.is_held = false;
        }
    }

    /// Ends an exchange. The asker, if anybody waits, hears of it at `told`.
    pub(super) fn fail(&mut self, channel: ChannelId, number: u64, told: Instant, error: RpcError) {
        let Some(exchange) = self.exchange(channel, number) else { return };
        if exchange.asker.is_none() {
            return self.forget(channel, number);
        }
        let stage = std::mem::replace(&mut exchange.stage, Stage::Failed(error));
        self.bury(Rest::Stage(stage));
        self.plan(channel, number, told);
    }

    /// Loses what is under way of an exchange. The asker hears so when its patience ends.
    pub(super) fn lose(&mut self, channel: ChannelId, number: u64, now: Instant, fault: NetworkFault) {
        self.counts.add(fault);
        let Some(exchange) = self.exchange(channel, number) else { return };
        let told = now + exchange.patience;
        self.fail(channel, number, told, RpcError::Lost("no answer came".into()));
    }

    /// Ends an exchange that nobody waits for.
    pub(super) fn forget(&mut self, channel: ChannelId, number: u64) {
        if let Some(exchange) = self.channel(channel).exchanges.take(number) {
            self.bury(Rest::Exchange(exchange));
        }
    }

    /// Tells the asker of a request that nothing of it was sent, after a while.
    pub(super) fn refuse(&mut self, channel: ChannelId, asker: Responder, why: String, told: Instant) {
        let stage = Stage::Failed(RpcError::NotSent(why));
        let number = self.enter(channel, Exchange::new(Some(asker), Duration::ZERO, stage));
        self.plan(channel, number, told);
    }

    /// Lets something of a node go, outside the lock.
    pub(super) fn bury(&mut self, rest: Rest) {
        self.remains.push(Remains::Dropped(rest));
    }
}
