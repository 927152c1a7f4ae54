//! The nodes of a script and the order in which things happen: one message, then everything it causes.

use std::{collections::BTreeMap, fmt::Write as _};

use raftix::{
    AddNonvoter, AddVoter, Config, DemoteVoter, RemoveServer, ServerRole,
    types::{Incarnation, Membership, Server, Suffrage},
};

use super::{
    describe,
    disk::Disk,
    network::{Network, Selector},
    node::{Node, Parts},
    register::Set,
    trace::Trace,
};

/// Longer than any election timeout.
const CAMPAIGN_MS_MAX: u64 = 10_000;
/// A little more than `commit_timeout`: an idle leader passes its commit index on within.
const STABILIZE_MS: u64 = 6;
/// How often `stabilize` starts over before it says that there is no end to it.
const STABILIZE_ROUNDS_MAX: u32 = 200;

/// How long a blank node waits before it greets again, rounded up to its tick.
const GREETING_MS: u64 = 100;
/// How many times blank nodes greet each other at most.
const GREETINGS_MAX: u32 = 20;

pub(crate) type Outcome = Result<(), Box<dyn std::error::Error>>;

pub(crate) struct World {
    pub(crate) trace: Trace,
    pub(crate) network: Network,
    config: Config,
    places: BTreeMap<String, Place>,
}

/// A disk, and the node that runs on it or does not.
struct Place {
    number: u128,
    /// How often the disk was replaced by an empty one, and once more.
    life: u128,
    disk: Disk,
    node: Option<Node>,
    /// Whether it came later, and waits to be added.
    joins: bool,
}

impl Place {
    fn incarnation(&self) -> Incarnation {
        Incarnation(self.number * 100 + self.life)
    }
}

impl World {
    /// `nodes` empty disks; nothing runs.
    pub(crate) fn new(nodes: usize, config: Config) -> Self {
        let trace = Trace::default();
        let places = (1..=nodes).map(|number| {
            let id = format!("n{number}");
            let disk = Disk::new(&id, trace.clone());
            (id, Place { number: number as u128, life: 1, disk, node: None, joins: false })
        });
        Self { network: Network::new(trace.clone()), config, places: places.collect(), trace }
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.places.keys().cloned().collect()
    }

    fn place(&mut self, id: &str) -> Result<&mut Place, String> {
        self.places.get_mut(id).ok_or_else(|| format!("there is no {id}"))
    }

    fn node(&mut self, id: &str) -> Result<&mut Node, String> {
        self.place(id)?.node.as_mut().ok_or_else(|| format!("{id} does not run"))
    }

    fn nodes(&mut self) -> impl Iterator<Item = &mut Node> {
        self.places.values_mut().filter_map(|place| place.node.as_mut())
    }

    /// Every node runs until all of them wait, and tells what is new.
    pub(crate) fn settle(&mut self) {
        loop {
            let mut ran = false;
            for node in self.nodes() {
                if node.run() {
                    node.tell();
                    ran = true;
                }
            }
            if !ran {
                return;
            }
        }
    }

    /// Writes a log onto a disk: entry 1 is the membership of all nodes.
    pub(crate) fn write_disk(&mut self, id: &str, vote_term: u64, terms: &[u64]) -> Outcome {
        let servers = self.places.iter().map(|(id, place)| Server {
            id: id.as_str().into(),
            address: id.clone(),
            suffrage: Suffrage::Voter,
            incarnation: place.incarnation(),
        });
        let membership = Membership::new(servers)?;
        self.place(id)?.disk.write(&membership, terms, vote_term);
        Ok(())
    }

    /// Starts a node on its disk.
    pub(crate) fn start(&mut self, id: &str) -> Outcome {
        let founders = self.places.iter().filter(|(_, place)| !place.joins).map(|(id, _)| id.clone());
        let (peers, config) = (founders.collect(), self.config.clone());
        let (network, trace) = (self.network.clone(), self.trace.clone());
        let place = self.place(id)?;
        if place.node.is_some() {
            return Err(format!("{id} runs already").into());
        }
        let (incarnation, disk) = (place.incarnation(), place.disk.clone());
        let (seed, joins) = (place.number as u64, place.joins);
        let id_of = id.to_owned();
        let mut node =
            Node::start(Parts { id: id_of, incarnation, seed, peers, joins, config, disk, network, trace });
        node.run();
        let started = node.tell_all();
        place.node = Some(node);
        self.trace.line(format!("started {started}"));
        self.settle();
        Ok(())
    }

    /// Starts a new node that waits to be added.
    pub(crate) fn join(&mut self, id: &str) -> Outcome {
        let disk = Disk::new(id, self.trace.clone());
        let number = self.places.len() as u128 + 1;
        let place = Place { number, life: 1, disk, node: None, joins: true };
        self.places.insert(id.to_owned(), place);
        self.start(id)
    }

    /// A client of `through` has `id` added, demoted or removed.
    pub(crate) fn change(&mut self, through: &str, what: &str, id: &str) -> Outcome {
        let words = format!("{what} {id}");
        let node = self.node(through)?;
        match what {
            "add" => node.change(words, AddVoter::new(id, id)),
            "add-nonvoter" => node.change(words, AddNonvoter::new(id, id)),
            "demote" => node.change(words, DemoteVoter::new(id)),
            _ => node.change(words, RemoveServer::new(id)),
        }
        self.settle();
        Ok(())
    }

    /// The node loses its power: what it had not flushed is gone, what it had sent is not.
    pub(crate) fn crash(&mut self, id: &str) -> Outcome {
        let node = self.place(id)?.node.take().ok_or_else(|| format!("{id} does not run"))?;
        self.network.disconnect(id);
        node.crash();
        self.settle();
        Ok(())
    }

    /// Puts an empty disk in the place of a node that does not run.
    pub(crate) fn wipe(&mut self, id: &str) -> Outcome {
        let trace = self.trace.clone();
        let place = self.place(id)?;
        if place.node.is_some() {
            return Err(format!("{id} runs").into());
        }
        place.disk = Disk::new(id, trace);
        place.life += 1;
        Ok(())
    }

    /// Delivers what is meant and is on its way now, each with what it causes.
    pub(crate) fn deliver(&mut self, selector: &Selector) {
        for message in self.network.take(selector) {
            self.trace.line(message.describe());
            self.trace.indent(true);
            self.network.deliver(message);
            self.settle();
            self.trace.indent(false);
        }
    }

    pub(crate) fn drop_messages(&mut self, selector: &Selector) {
        self.network.drop_all(selector);
        self.settle();
    }

    pub(crate) fn partition(&mut self, left: &[String], right: &[String]) {
        self.network.cut(left, right);
        self.settle();
    }

    /// Lets time pass for the nodes named.
    pub(crate) fn tick(&mut self, ids: &[String], milliseconds: u64) -> Outcome {
        for _ in 0..milliseconds {
            for id in ids {
                if let Some(node) = &mut self.place(id)?.node {
                    node.pass_millisecond();
                }
            }
            self.settle();
        }
        Ok(())
    }

    /// Lets time pass for one node alone, until it asks for votes.
    pub(crate) fn campaign(&mut self, id: &str) -> Outcome {
        if self.node(id)?.status().role == ServerRole::Leader {
            return Err(format!("{id} leads").into());
        }
        let asked = self.network.votes_asked(id);
        for _ in 0..CAMPAIGN_MS_MAX {
            self.tick(&[id.to_owned()], 1)?;
            if self.network.votes_asked(id) > asked {
                return Ok(());
            }
        }
        Err(format!("{id} does not stand").into())
    }

    /// Delivers everything, and lets the leader pass on what it commits, until nothing happens any more.
    pub(crate) fn stabilize(&mut self) -> Outcome {
        for _ in 0..STABILIZE_ROUNDS_MAX {
            while !self.network.is_quiet() {
                self.deliver(&Selector::default());
            }
            self.tick(&self.ids(), STABILIZE_MS)?;
            if self.network.is_quiet() {
                return Ok(());
            }
        }
        Err("it does not come to rest".into())
    }

    /// Lets blank nodes greet each other until they have become a cluster.
    pub(crate) fn form(&mut self) -> Outcome {
        for _ in 0..GREETINGS_MAX {
            self.stabilize()?;
            if self.nodes().all(|node| node.status().role != ServerRole::Quarantined) {
                return Ok(());
            }
            self.tick(&self.ids(), GREETING_MS)?;
        }
        Err("they do not become a cluster".into())
    }

    pub(crate) fn propose(&mut self, id: &str, name: &str, value: &str) -> Outcome {
        self.node(id)?.propose(Set { name: name.to_owned(), value: value.to_owned() });
        Ok(())
    }

    pub(crate) fn read(&mut self, id: &str, name: &str) -> Outcome {
        self.node(id)?.read(name);
        Ok(())
    }

    pub(crate) fn transfer(&mut self, id: &str, to: Option<&str>) -> Outcome {
        self.node(id)?.transfer(to);
        Ok(())
    }

    pub(crate) fn hold_flush(&mut self, id: &str) -> Outcome {
        self.node(id)?.gate().close();
        Ok(())
    }

    pub(crate) fn flush(&mut self, id: &str) -> Outcome {
        self.node(id)?.gate().open();
        self.settle();
        Ok(())
    }

    /// Every node's state.
    pub(crate) fn tell_status(&mut self) {
        let lines = self.places.iter().map(|(id, place)| match &place.node {
            Some(node) => describe::status(&node.status()),
            None => format!("{id}: down"),
        });
        for line in lines.collect::<Vec<_>>() {
            self.trace.line(line);
        }
    }

    /// What is on the disks, one line each.
    pub(crate) fn tell_logs(&mut self, ids: &[String]) -> Outcome {
        for id in ids {
            let mut line = format!("{id}:");
            for entry in self.place(id)?.disk.entries() {
                write!(line, " [{entry}]")?;
            }
            self.trace.line(line);
        }
        Ok(())
    }
}
