//! How a connection comes about. As over TCP, a request that met none was certainly not sent.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    NetworkFault, Watch,
    answers::Answers,
    connection::Connection,
    ends::{ChannelId, Ends},
    hosts::{Life, Vital},
    remains::{Remains, Rest},
    shared::Shared,
    state::State,
};
use crate::{
    transport::{Identity, Inbound, ResponseSink},
    types::NodeId,
};

/// A connection, and who watches what leaves over it.
pub(super) type Open = (Arc<Connection>, Option<Arc<dyn Watch>>);

/// Whom one finds who wants to ask.
pub(super) enum Found {
    /// It is connected already.
    Connection(Open),
    /// Somebody to shake hands with.
    Somebody { own: Arc<dyn Inbound>, answering: Life, inbound: Arc<dyn Inbound> },
}

/// Why a request is not sent.
pub(super) enum Refused {
    /// For this reason, which is known at this time.
    NotSent { why: String, told: Instant },
    /// This node has not started, or has stopped.
    Idle,
    /// This node is dead.
    Fenced,
}

/// Who shook hands, and what each said.
pub(super) struct Hands {
    pub(super) asking: Life,
    pub(super) from: Identity,
    pub(super) answering: Life,
    pub(super) there: Identity,
    pub(super) inbound: Arc<dyn Inbound>,
}

impl State {
    /// Looks for the node called `peer` at the other end of a channel.
    pub(super) fn look(
        &mut self,
        now: Instant,
        ends: &Ends,
        asking: Life,
        peer: &NodeId,
    ) -> Result<Found, Refused> {
        match self.hosts.vital(asking) {
            Vital::Running => {}
            Vital::Idle => return Err(Refused::Idle),
            Vital::Fenced => return Err(Refused::Fenced),
        }
        let way = ends.channel.way;
        let (to, back) = (self.ways[way].to, self.ways[way].back);
        let is_cut = self.ways[way].is_cut || self.ways[back].is_cut;
        if let Some(connection) = &self.ways.channel(ends.channel).connection
            // A blank node may have joined a cluster meanwhile: hands are shaken anew where they can be.
            && (connection.is_lasting || is_cut)
            && connection.peer == *peer
        {
            return Ok(Found::Connection((connection.clone(), self.watch.clone())));
        }
        if is_cut {
            self.counts.add(NetworkFault::Cut);
            let told = now + self.ways[way].fate().patience;
            return Err(Refused::NotSent { why: format!("no way to {} and back", ends.to), told });
        }
        match (self.hosts.listener(asking.host), self.hosts.listener(to)) {
            (Some((_, own)), Some((answering, inbound))) => Ok(Found::Somebody { own, answering, inbound }),
            _ => {
                let told = now + self.round_trip(ends.channel);
                Err(Refused::NotSent { why: format!("nobody listens at {}", ends.to), told })
            }
        }
    }

    /// The connection of two that shook hands. One that there was goes on, with what they say now.
    pub(super) fn connect(
        &mut self,
        now: Instant,
        shared: Weak<Shared>,
        ends: &Arc<Ends>,
        hands: Hands,
    ) -> Open {
        let Hands { asking, from, answering, there, inbound } = hands;
        let is_lasting = !from.cluster.is_none() && !there.cluster.is_none();
        let old = self.channel(ends.channel).connection.take();
        let (answers, open_from) = match &old {
            Some(old) => (old.answers.clone(), old.open_from),
            None => {
                let channel = self.channel(ends.channel);
                (channel.requests, channel.answers) = Default::default();
                let answers: Arc<dyn ResponseSink> =
                    Arc::new(Answers { shared, ends: ends.clone(), answering });
                (answers, now + self.round_trip(ends.channel))
            }
        };
        let new = Arc::new(Connection {
            ends: ends.clone(),
            answers,
            asking,
            from,
            peer: there.id,
            inbound,
            open_from,
            is_lasting,
        });
        self.channel(ends.channel).connection = Some(new.clone());
        self.remains.extend(old.map(|old| Remains::Dropped(Rest::Connection(old))));
        (new, self.watch.clone())
    }

    /// How long a question and its answer take that nothing befalls.
    pub(super) fn round_trip(&mut self, channel: ChannelId) -> Duration {
        let back = self.ways[channel.way].back;
        self.ways[channel.way].fate().travel + self.ways[back].fate().travel
    }
}
