//! The directed ways between addresses: what each is like, and what it draws.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::{Index, IndexMut},
    sync::Arc,
};

use fastrand::Rng;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{
    Conditions,
    channel::{Channel, Past},
    conditions::Fate,
    ends::{ChannelId, WayId},
    hosts::{HostId, Hosts},
};
use crate::types::Lane;

pub(super) struct Way {
    pub(super) from: HostId,
    pub(super) to: HostId,
    /// The way from `to` to `from`.
    pub(super) back: WayId,
    pub(super) conditions: Conditions,
    /// Whatever travels it is lost.
    pub(super) is_cut: bool,
    /// Whatever travels it is held back.
    pub(super) is_clogged: bool,
    /// One for each lane, for the requests that go this way; their answers go back.
    pub(super) channels: [Channel; 4],
    /// Requests that come once more, long after.
    pub(super) past: VecDeque<Past>,
    /// Moves by one step for each message, whatever the conditions.
    rng: Rng,
}

impl Way {
    /// Draws what becomes of the next message.
    pub(super) fn fate(&mut self) -> Fate {
        Fate::draw(&self.conditions, self.rng.fork())
    }
}

/// The ways that were ever named.
pub(super) struct Ways {
    seed: u64,
    /// For those that are yet to be named.
    conditions: Conditions,
    by_ends: BTreeMap<(HostId, HostId), WayId>,
    ways: Vec<Way>,
}

impl Ways {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, conditions: Conditions::default(), by_ends: BTreeMap::new(), ways: Vec::new() }
    }

    /// The way between two addresses, which is made with its way back when it is first named.
    pub(super) fn between(&mut self, hosts: &Hosts, from: HostId, to: HostId) -> WayId {
        if let Some(way) = self.by_ends.get(&(from, to)) {
            return *way;
        }
        let there = self.ways.len();
        let back = if from == to { there } else { there + 1 };
        self.add(hosts, (from, to), WayId(back));
        if from != to {
            self.add(hosts, (to, from), WayId(there));
        }
        WayId(there)
    }

    fn add(&mut self, hosts: &Hosts, (from, to): (HostId, HostId), back: WayId) {
        let id = WayId(self.ways.len());
        let names = (hosts.address(from), hosts.address(to));
        let channel = |lane| Channel::new(ChannelId { way: id, lane }, names.0.clone(), names.1.clone());
        self.by_ends.insert((from, to), id);
        self.ways.push(Way {
            from,
            to,
            back,
            conditions: self.conditions,
            is_cut: false,
            is_clogged: false,
            channels: [Lane::Control, Lane::Bulk, Lane::Forward, Lane::Snapshot].map(channel),
            past: VecDeque::new(),
            rng: stream(self.seed, names.0, names.1),
        });
    }

    pub(super) fn set_all(&mut self, conditions: Conditions) {
        self.conditions = conditions;
        self.ways.iter_mut().for_each(|way| way.conditions = conditions);
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = WayId> + use<> {
        (0..self.ways.len()).map(WayId)
    }

    pub(super) fn channel(&mut self, id: ChannelId) -> &mut Channel {
        &mut self[id.way].channels[id.lane as usize]
    }
}

impl Index<WayId> for Ways {
    type Output = Way;

    fn index(&self, WayId(at): WayId) -> &Way {
        &self.ways[at]
    }
}

impl IndexMut<WayId> for Ways {
    fn index_mut(&mut self, WayId(at): WayId) -> &mut Way {
        &mut self.ways[at]
    }
}

/// The generator of one direction: of the addresses themselves, so that neither the order in which they
/// are named nor what others draw changes it.
fn stream(seed: u64, from: &Arc<str>, to: &Arc<str>) -> Rng {
    Rng::with_seed(xxh3_64_with_seed(format!("{from}\0{to}").as_bytes(), seed))
}
