//! What leaves a node, and what is to become of it.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    NetworkFault,
    channel::{Exchange, Order, PAST_MAX, Past, Stage},
    codec,
    conditions::{Again, Fate},
    connection::Connection,
    ends::{ChannelId, Ticket, WayId},
    hosts::Vital,
    remains::{Remains, Rest},
    state::State,
};
use crate::{
    transport::{Responder, RpcError},
    types::{Request, Response},
};

impl State {
    /// A request leaves its node over `connection`.
    pub(super) fn request_departs(
        &mut self,
        now: Instant,
        connection: Arc<Connection>,
        request: Request,
        asker: Responder,
    ) {
        let channel = connection.ends.channel;
        if !self.channel(channel).uses(&connection) {
            return self.depart_too_late(connection, asker);
        }
        let fate = self.ways[channel.way].fate();
        let struck = self.strike(channel.way, &fate);
        // A forwarded command that came twice would be applied twice: no transport may do that to it.
        let is_repeatable = struck.is_none() && request.is_repeatable();
        let copy = fate.copy.filter(|_| is_repeatable).map(|again| (again, request.clone()));
        let number = self.channel(channel).exchanges.next();
        let request = match self.code_request(request, number, struck, &fate) {
            Ok(request) => request,
            Err(why) => return self.remains.push(Remains::Failed(asker, RpcError::NotSent(why))),
        };
        let stage = Stage::Asking { connection: connection.clone(), request };
        let number = self.enter(channel, Exchange::new(Some(asker), fate.patience, stage));
        match struck {
            None => {
                let due = now.max(connection.open_from) + fate.travel;
                let due = self.arrival(&fate, due, |state| &mut state.channel(channel).requests);
                self.plan(channel, number, due);
                if let Some((again, request)) = copy {
                    self.repeat(now, due, again, connection, request);
                }
            }
            Some(NetworkFault::Reset) => self.break_connection(channel, now),
            Some(fault) => self.lose(channel, number, now, fault),
        }
    }

    /// What was told that the request leaves has ended the connection.
    fn depart_too_late(&mut self, connection: Arc<Connection>, asker: Responder) {
        self.remains.push(match self.hosts.vital(connection.asking) {
            Vital::Fenced => Remains::Abandoned(asker),
            _ => Remains::Failed(asker, RpcError::Lost("the connection has just ended".into())),
        });
        self.bury(Rest::Connection(connection));
    }

    /// The answer to an exchange leaves the node that was asked.
    pub(super) fn answer_departs(
        &mut self,
        now: Instant,
        channel: ChannelId,
        number: u64,
        answer: Result<Response, RpcError>,
    ) {
        let way = self.ways[channel.way].back;
        let is_awaited = self.exchange(channel, number).is_some_and(|e| matches!(e.stage, Stage::AtNode));
        if !is_awaited {
            return;
        }
        let fate = self.ways[way].fate();
        let struck = self.strike(way, &fate);
        let answer = self.code_answer(answer, number, struck, &fate);
        let Some(exchange) = self.exchange(channel, number) else { return };
        exchange.stage = Stage::Answering(answer);
        match struck {
            None => {
                let due = self.arrival(&fate, now + fate.travel, |state| &mut state.channel(channel).answers);
                self.plan(channel, number, due);
            }
            Some(NetworkFault::Reset) => self.break_connection(channel, now),
            Some(fault) => self.lose(channel, number, now, fault),
        }
    }

    /// What keeps a message from ever travelling.
    fn strike(&self, way: WayId, fate: &Fate) -> Option<NetworkFault> {
        let faults = [
            (self.ways[way].is_cut, NetworkFault::Cut),
            (fate.reset, NetworkFault::Reset),
            (fate.lost, NetworkFault::Loss),
        ];
        faults.into_iter().find_map(|(strikes, fault)| strikes.then_some(fault))
    }

    /// When a message that could arrive at `due` does, in its order or out of it.
    fn arrival(&mut self, fate: &Fate, due: Instant, order: impl FnOnce(&mut Self) -> &mut Order) -> Instant {
        if fate.spiked {
            self.counts.add(NetworkFault::Spike);
        }
        match fate.straggle {
            None => order(self).keep(due),
            Some(longer) => {
                self.counts.add(NetworkFault::Reordering);
                due + longer
            }
        }
    }

    /// Plans a copy of a request whose original arrives at `due`.
    fn repeat(
        &mut self,
        now: Instant,
        due: Instant,
        again: Again,
        connection: Arc<Connection>,
        request: Request,
    ) {
        let channel = connection.ends.channel;
        match again {
            Again::Soon(after) => {
                let stage = Stage::Asking { connection, request: Some(request) };
                let copy = Exchange { is_copy: true, ..Exchange::new(None, Duration::ZERO, stage) };
                let number = self.enter(channel, copy);
                self.plan(channel, number, due + after);
            }
            Again::Late(after) => {
                let planned = self.queue.plan(now + after, Ticket::Past(channel.way));
                let past = &mut self.ways[channel.way].past;
                if past.len() == PAST_MAX {
                    past.pop_front();
                }
                let (ends, from) = (connection.ends.clone(), connection.from.clone());
                past.push_back(Past { ends, request, from, planned, is_held: false });
            }
        }
    }

    /// What the receiver makes of the frame of a request; none if it is no frame. An error if it cannot be
    /// sent at all.
    fn code_request(
        &mut self,
        request: Request,
        number: u64,
        struck: Option<NetworkFault>,
        fate: &Fate,
    ) -> Result<Option<Request>, String> {
        if struck.is_some() || !self.is_coded(fate) {
            return Ok(Some(request));
        }
        codec::request(&request, number, fate.damage.clone()).map_err(|error| error.to_string())
    }

    /// The same of an answer. One that cannot be sent becomes the notice that there is none.
    fn code_answer(
        &mut self,
        answer: Result<Response, RpcError>,
        number: u64,
        struck: Option<NetworkFault>,
        fate: &Fate,
    ) -> Option<Result<Response, RpcError>> {
        if struck.is_some() || !self.is_coded(fate) {
            return Some(answer);
        }
        codec::answer(&answer, number, fate.damage.clone())
    }

    fn is_coded(&mut self, fate: &Fate) -> bool {
        if fate.damage.is_some() {
            self.counts.add(NetworkFault::Corruption);
        }
        fate.damage.is_some() || self.is_coding
    }
}
