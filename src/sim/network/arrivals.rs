//! What comes about as time goes on: messages arrive, and who waited in vain hears of it.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    NetworkFault, Watch,
    channel::{Past, Stage},
    connection::Connection,
    ends::{ChannelId, Ends, Ticket, WayId},
    hosts::Life,
    queue::Event,
    remains::Rest,
    state::State,
};
use crate::{
    transport::{Inbound, Responder, RpcError},
    types::{Request, Response},
};

/// What comes next.
pub(super) enum Next {
    /// This, now.
    Delivery(Delivery, Option<Arc<dyn Watch>>),
    /// Something at this time.
    At(Instant),
    /// Nothing, as far as is known.
    Nothing,
}

/// Something to hand over, outside the lock.
pub(super) enum Delivery {
    /// A request to the node that is asked.
    Request { connection: Arc<Connection>, number: u64, request: Request },
    /// A request of the past to the node that lives there now.
    Past { past: Past, answering: Life, inbound: Arc<dyn Inbound> },
    /// An answer to who waits for it.
    Answer { ends: Arc<Ends>, answer: Result<Response, RpcError>, asker: Responder },
    /// A failure to who waits for an answer.
    Failure { error: RpcError, asker: Responder },
}

impl State {
    /// Lets time go on to the next thing to hand over.
    pub(super) fn next(&mut self, now: Instant) -> Next {
        while let Some(event) = self.queue.pop(now) {
            let delivery = match event.about {
                Ticket::Exchange(channel, number) => self.move_on(now, event, channel, number),
                Ticket::Past(way) => self.recall(event, way),
            };
            if let Some(delivery) = delivery {
                return Next::Delivery(delivery, self.watch.clone());
            }
        }
        self.queue.first().map_or(Next::Nothing, Next::At)
    }

    /// What was planned for an exchange is due.
    fn move_on(
        &mut self,
        now: Instant,
        event: Event<Ticket>,
        channel: ChannelId,
        number: u64,
    ) -> Option<Delivery> {
        let back = self.ways[channel.way].back;
        let exchange = self.exchange(channel, number).filter(|exchange| exchange.planned == Some(event))?;
        let way = match exchange.stage {
            Stage::Asking { .. } => Some(channel.way),
            Stage::Answering(_) => Some(back),
            Stage::AtNode | Stage::Failed(_) => None,
        };
        if way.is_some_and(|way| self.ways[way].is_cut) {
            self.lose(channel, number, now, NetworkFault::Cut);
            return None;
        }
        if way.is_some_and(|way| self.ways[way].is_clogged) {
            self.counts.add(NetworkFault::Clog);
            self.exchange(channel, number)?.is_held = true;
            return None;
        }
        self.hand_over(now, channel, number)
    }

    /// The next stage of an exchange that is on no way any more.
    fn hand_over(&mut self, now: Instant, channel: ChannelId, number: u64) -> Option<Delivery> {
        let exchange = self.exchange(channel, number)?;
        let (is_awaited, is_copy) = (exchange.asker.is_some(), exchange.is_copy);
        match std::mem::replace(&mut exchange.stage, Stage::AtNode) {
            Stage::Asking { connection, request: Some(request) } => {
                if is_copy {
                    self.counts.add(NetworkFault::Duplication);
                }
                if !is_awaited {
                    self.forget(channel, number);
                }
                Some(Delivery::Request { connection, number, request })
            }
            Stage::Answering(Some(answer)) => {
                let channel = self.channel(channel);
                let asker = channel.exchanges.take(number)?.asker?;
                Some(Delivery::Answer { ends: channel.ends.clone(), answer, asker })
            }
            Stage::Failed(error) => {
                let asker = self.channel(channel).exchanges.take(number)?.asker?;
                Some(Delivery::Failure { error, asker })
            }
            // A frame that is none. After it nothing on its connection can be trusted.
            garbage => {
                self.bury(Rest::Stage(garbage));
                if is_awaited {
                    self.break_connection(channel, now);
                } else {
                    self.forget(channel, number);
                }
                None
            }
        }
    }

    /// A request of the past is due to come once more.
    fn recall(&mut self, event: Event<Ticket>, way: WayId) -> Option<Delivery> {
        let way = &mut self.ways[way];
        let at = way.past.iter().position(|past| past.planned == event)?;
        if way.is_clogged && !way.is_cut {
            way.past[at].is_held = true;
            self.counts.add(NetworkFault::Clog);
            return None;
        }
        let past = way.past.remove(at)?;
        if way.is_cut {
            self.counts.add(NetworkFault::Cut);
            return None;
        }
        let (answering, inbound) = self.hosts.listener(way.to)?;
        Some(Delivery::Past { past, answering, inbound })
    }
}
