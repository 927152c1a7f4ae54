//! Addresses as small numbers, the processes that have lived there, and which of them listens.

use std::{collections::BTreeMap, io, sync::Arc};

use crate::transport::Inbound;

/// An address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct HostId(usize);

/// One life of the process at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) host: HostId,
    /// In the order they began; the first is 1.
    number: u64,
}

/// What became of a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vital {
    /// It is listening.
    Running,
    /// It has not started, or has stopped.
    Idle,
    /// The process is dead, though parts of it may not know.
    Fenced,
}

#[derive(Default)]
pub(super) struct Hosts {
    by_address: BTreeMap<Arc<str>, HostId>,
    hosts: Vec<Host>,
}

struct Host {
    address: Arc<str>,
    /// How many lives there have been.
    lives: u64,
    /// How many of them are fenced.
    fenced: u64,
    listener: Option<(Life, Arc<dyn Inbound>)>,
}

impl Hosts {
    /// The number of an address, which it gets when it is first named.
    pub(super) fn at(&mut self, address: &str) -> HostId {
        if let Some(host) = self.by_address.get(address) {
            return *host;
        }
        let (address, host): (Arc<str>, _) = (address.into(), HostId(self.hosts.len()));
        self.by_address.insert(address.clone(), host);
        self.hosts.push(Host { address, lives: 0, fenced: 0, listener: None });
        host
    }

    pub(super) fn address(&self, host: HostId) -> &Arc<str> {
        &self.hosts[host.0].address
    }

    pub(super) fn begin_life(&mut self, host: HostId) -> Life {
        let HostId(at) = host;
        self.hosts[at].lives += 1;
        Life { host, number: self.hosts[at].lives }
    }

    pub(super) fn vital(&self, life: Life) -> Vital {
        let host = &self.hosts[life.host.0];
        if life.number <= host.fenced {
            return Vital::Fenced;
        }
        match &host.listener {
            Some((listening, _)) if *listening == life => Vital::Running,
            _ => Vital::Idle,
        }
    }

    /// Who listens at an address.
    pub(super) fn listener(&self, host: HostId) -> Option<(Life, Arc<dyn Inbound>)> {
        self.hosts[host.0].listener.clone()
    }

    /// Lets `life` listen, unless another does or it is dead.
    pub(super) fn listen(&mut self, life: Life, inbound: &Arc<dyn Inbound>) -> io::Result<()> {
        if self.vital(life) == Vital::Fenced {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let listener = &mut self.hosts[life.host.0].listener;
        if listener.is_some() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        *listener = Some((life, inbound.clone()));
        Ok(())
    }

    /// Nobody listens at an address any more. Returns who did.
    pub(super) fn silence(&mut self, host: HostId) -> Option<Arc<dyn Inbound>> {
        self.hosts[host.0].listener.take().map(|(_, inbound)| inbound)
    }

    /// Every life there has been at an address is dead. Returns who listened.
    pub(super) fn fence(&mut self, host: HostId) -> Option<Arc<dyn Inbound>> {
        let HostId(at) = host;
        self.hosts[at].fenced = self.hosts[at].lives;
        self.silence(host)
    }

    /// The addresses at which somebody listens.
    pub(super) fn listening(&self) -> impl Iterator<Item = &str> {
        self.hosts.iter().filter(|host| host.listener.is_some()).map(|host| &*host.address)
    }
}
