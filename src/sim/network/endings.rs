//! What ends: connections, and the lives at their ends.

use tokio::time::Instant;

use super::{
    NetworkFault,
    channel::Stage,
    ends::ChannelId,
    hosts::{HostId, Life, Vital},
    remains::{Remains, Rest},
    state::State,
};
use crate::transport::RpcError;

impl State {
    /// Every life there has been at an address is dead. Its peers hear of it soon if somebody is left
    /// there to tell them.
    pub(super) fn fence(&mut self, host: HostId, now: Instant, is_told: bool) {
        let inbound = self.hosts.fence(host);
        self.remains.extend(inbound.map(|inbound| Remains::Dropped(Rest::Inbound(inbound))));
        self.end_life(host, now, Vital::Fenced, is_told);
    }

    /// A life stops listening and asking.
    pub(super) fn stop(&mut self, life: Life, now: Instant) {
        if self.hosts.vital(life) != Vital::Running {
            return;
        }
        let inbound = self.hosts.silence(life.host);
        self.remains.extend(inbound.map(|inbound| Remains::Dropped(Rest::Inbound(inbound))));
        self.end_life(life.host, now, Vital::Idle, true);
    }

    /// Breaks every connection between two addresses.
    pub(super) fn reset(&mut self, a: HostId, b: HostId, now: Instant) {
        for channel in self.channels_between(|from, to| (from, to) == (a, b) || (from, to) == (b, a)) {
            self.break_connection(channel, now);
        }
    }

    /// Breaks a connection: whatever is under way on it is lost, there and back.
    pub(super) fn break_connection(&mut self, channel: ChannelId, now: Instant) {
        if self.end_connection(channel) {
            self.counts.add(NetworkFault::Reset);
        }
        let is_under_way = |stage: &Stage| !matches!(stage, Stage::Failed(_));
        self.fail_all(channel, now, true, "the connection was reset", is_under_way);
    }

    fn end_life(&mut self, host: HostId, now: Instant, vital: Vital, is_told: bool) {
        for channel in self.channels_between(|from, _| from == host) {
            self.end_asking(channel, vital);
        }
        // Answers that have left it are not its own any more.
        let is_with_it = |stage: &Stage| matches!(stage, Stage::Asking { .. } | Stage::AtNode);
        for channel in self.channels_between(|_, to| to == host) {
            self.end_connection(channel);
            self.fail_all(channel, now, is_told, "the connection was closed by the peer", is_with_it);
        }
    }

    /// Nobody waits on a channel any more: what has left goes on, and its answers go nowhere.
    fn end_asking(&mut self, channel: ChannelId, vital: Vital) {
        self.end_connection(channel);
        for number in self.channel(channel).exchanges.numbers() {
            let Some(exchange) = self.exchange(channel, number) else { continue };
            let asker = exchange.asker.take();
            if !matches!(exchange.stage, Stage::Asking { .. }) {
                self.forget(channel, number);
            }
            self.remains.extend(asker.map(|asker| match vital {
                Vital::Fenced => Remains::Abandoned(asker),
                _ => Remains::Failed(asker, RpcError::Lost("this node is stopping".into())),
            }));
        }
    }

    /// Fails those exchanges of a channel that are in some stages. The askers hear of it all at once: as
    /// fast as a message comes back, or when they lose patience if none does.
    fn fail_all(
        &mut self,
        channel: ChannelId,
        now: Instant,
        is_told: bool,
        why: &str,
        fails: impl Fn(&Stage) -> bool,
    ) {
        let numbers = self.channel(channel).exchanges.numbers();
        if numbers.is_empty() {
            return;
        }
        let back = self.ways[channel.way].back;
        let back = &mut self.ways[back];
        let fate = back.fate();
        let is_told = is_told && !back.is_cut && !back.is_clogged;
        let told = now + if is_told { fate.travel } else { fate.patience };
        for number in numbers {
            if self.exchange(channel, number).is_some_and(|exchange| fails(&exchange.stage)) {
                self.fail(channel, number, told, RpcError::Lost(why.to_owned()));
            }
        }
    }

    /// Ends the connection of a channel. Whether there was one.
    fn end_connection(&mut self, channel: ChannelId) -> bool {
        let connection = self.channel(channel).connection.take();
        let existed = connection.is_some();
        self.remains.extend(connection.map(|connection| Remains::Dropped(Rest::Connection(connection))));
        existed
    }

    fn channels_between(&self, ends: impl Fn(HostId, HostId) -> bool) -> Vec<ChannelId> {
        let ways = self.ways.ids().filter(|way| ends(self.ways[*way].from, self.ways[*way].to));
        ways.flat_map(|way| self.ways[way].channels.each_ref().map(|channel| channel.ends.channel)).collect()
    }
}
