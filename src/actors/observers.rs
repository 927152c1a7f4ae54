//! Who watches the node, and what they have been told. Not an actor: whoever makes something happen says so
//! here, and nothing of the node ever waits for a watcher.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
};

use actix::Recipient;

use crate::{
    board::ServerRole,
    error::{LeaderHint, ObserveError},
    mailbox::Credits,
    messages::{EventKind, Observation, Observe, ObserverCounts, ObserverHandle, ObserverId, RaftEvent},
    types::{LogIndex, Membership, NodeId, Term},
};

/// See the module.
pub(crate) struct Observers {
    node: NodeId,
    next: Cell<u64>,
    registered: RefCell<Vec<Observer>>,
    seat: RefCell<Seat>,
    membership: RefCell<(LogIndex, Membership)>,
}

struct Observer {
    id: ObserverId,
    recipient: Recipient<Observation>,
    kinds: Option<BTreeSet<EventKind>>,
    places: Credits,
    /// Lost since the last one that was sent.
    missed: u64,
    counts: Arc<ObserverCounts>,
}

/// What was last said of role and leader.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) role: ServerRole,
    pub(crate) term: Term,
    pub(crate) leader: Option<LeaderHint>,
}

impl Observers {
    pub(crate) fn new(node: NodeId) -> Self {
        Self {
            node,
            next: Cell::new(0),
            registered: RefCell::default(),
            seat: RefCell::default(),
            membership: RefCell::default(),
        }
    }

    /// Registers an observer.
    pub(crate) fn register(&self, observe: Observe) -> Result<ObserverHandle, ObserveError> {
        let mut registered = self.registered.borrow_mut();
        registered.retain(|observer| observer.recipient.connected());
        if registered.len() >= ObserveError::OBSERVERS_MAX {
            return Err(ObserveError::TooMany);
        }
        let id = ObserverId(self.next.replace(self.next.get() + 1));
        let counts = Arc::new(ObserverCounts::default());
        registered.push(Observer {
            id,
            recipient: observe.observer,
            kinds: observe.kinds,
            places: Credits::new(observe.pending_max, 0),
            missed: 0,
            counts: counts.clone(),
        });
        Ok(ObserverHandle { id, counts })
    }

    /// Whether it was registered.
    pub(crate) fn deregister(&self, id: ObserverId) -> bool {
        let mut registered = self.registered.borrow_mut();
        let before = registered.len();
        registered.retain(|observer| observer.id != id);
        registered.len() < before
    }

    /// Tells whoever wants to know. The event is made only if there is somebody.
    pub(crate) fn tell(&self, event: impl FnOnce() -> RaftEvent) {
        let mut registered = self.registered.borrow_mut();
        if registered.is_empty() {
            return;
        }
        let event = event();
        registered.retain_mut(|observer| {
            observer.tell(&self.node, &event);
            observer.recipient.connected()
        });
    }

    /// Tells what is new about role and leader.
    pub(crate) fn note_seat(&self, seat: Seat) {
        let old = self.seat.replace(seat.clone());
        let Seat { role, term, leader } = seat;
        if (role, term) != (old.role, old.term) {
            self.tell(|| RaftEvent::RoleChanged { role, term });
        }
        if leader != old.leader {
            self.tell(|| RaftEvent::LeaderChanged { leader, term });
        }
    }

    /// Tells what is new about the membership in effect.
    pub(crate) fn note_membership(&self, index: LogIndex, membership: &Membership) {
        // The index of a compacted entry moves with the log's base: that is no news.
        if self.membership.borrow().1 == *membership {
            return;
        }
        let (_, old) = self.membership.replace((index, membership.clone()));
        self.tell(|| RaftEvent::MembershipChanged { index, membership: membership.clone() });
        for server in membership.servers().iter().filter(|server| old.get(&server.id).is_none()) {
            self.tell(|| RaftEvent::PeerAdded(server.clone()));
        }
        for server in old.servers().iter().filter(|server| membership.get(&server.id).is_none()) {
            self.tell(|| RaftEvent::PeerRemoved(server.clone()));
        }
    }
}

impl Observer {
    fn tell(&mut self, node: &NodeId, event: &RaftEvent) {
        if self.kinds.as_ref().is_some_and(|kinds| !kinds.contains(&event.kind())) {
            return;
        }
        let Some(place) = self.places.try_acquire(1, 0) else {
            self.missed += 1;
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let missed = std::mem::take(&mut self.missed);
        self.counts.sent.fetch_add(1, Ordering::Relaxed);
        self.recipient.do_send(Observation {
            node: node.clone(),
            event: event.clone(),
            missed,
            _place: place,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc};

    use actix::{Actor, Context, Handler};
    use tokio::task::{LocalSet, yield_now};

    use super::*;
    use crate::types::{Incarnation, Server, Suffrage};

    #[derive(Clone, Default)]
    struct Notes(Rc<RefCell<Vec<(RaftEvent, u64)>>>);

    impl Actor for Notes {
        type Context = Context<Self>;
    }

    impl Handler<Observation> for Notes {
        type Result = ();

        fn handle(&mut self, observation: Observation, _: &mut Self::Context) {
            self.0.borrow_mut().push((observation.event, observation.missed));
        }
    }

    fn event(term: u64) -> RaftEvent {
        RaftEvent::RoleChanged { role: ServerRole::Candidate, term: Term(term) }
    }

    async fn drained() {
        for _ in 0..10 {
            yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_slow_observer_loses_what_is_too_much_and_is_told_how_many() {
        let run = async {
            let (notes, observers) = (Notes::default(), Observers::new("n1".into()));
            let observe = Observe::new(notes.clone().start().recipient()).pending_max(2);
            let handle = observers.register(observe).unwrap();
            (1..=5).for_each(|term| observers.tell(|| event(term)));
            assert_eq!((handle.sent(), handle.dropped()), (2, 3));
            drained().await;
            observers.tell(|| event(6));
            drained().await;
            assert_eq!(*notes.0.borrow(), [(event(1), 0), (event(2), 0), (event(6), 3)]);
            assert!(observers.deregister(handle.id()) && !observers.deregister(handle.id()));
            observers.tell(|| event(7));
            assert_eq!(handle.sent(), 3);
        };
        LocalSet::new().run_until(run).await;
    }

    #[tokio::test]
    async fn an_observer_that_has_ended_is_forgotten() {
        let run = async {
            let observers = Observers::new("n1".into());
            let addr = Notes::default().start();
            observers.register(Observe::new(addr.clone().recipient())).unwrap();
            addr.do_send(actix_stop::Stop);
            drained().await;
            observers.tell(|| event(1));
            assert!(observers.registered.borrow().is_empty());
        };
        LocalSet::new().run_until(run).await;
    }

    mod actix_stop {
        #[derive(actix::Message)]
        #[rtype(result = "()")]
        pub(super) struct Stop;
    }

    impl Handler<actix_stop::Stop> for Notes {
        type Result = ();

        fn handle(&mut self, _: actix_stop::Stop, ctx: &mut Self::Context) {
            actix::ActorContext::stop(ctx);
        }
    }

    #[tokio::test]
    async fn a_change_of_membership_names_who_came_and_went_and_repeats_nothing() {
        let run = async {
            let server = |id: &str| Server {
                id: id.into(),
                address: format!("{id}:1"),
                suffrage: Suffrage::Voter,
                incarnation: Incarnation(1),
            };
            let of = |ids: [&str; 2]| Membership::new(ids.map(server)).unwrap();
            let (notes, observers) = (Notes::default(), Observers::new("n1".into()));
            observers.note_membership(LogIndex(1), &of(["n1", "n2"]));
            let observe = Observe::new(notes.clone().start().recipient())
                .only([EventKind::PeerAdded, EventKind::PeerRemoved]);
            observers.register(observe).unwrap();
            observers.note_membership(LogIndex(1), &of(["n1", "n2"]));
            observers.note_membership(LogIndex(4), &of(["n1", "n3"]));
            observers.note_membership(LogIndex(9), &of(["n1", "n3"]));
            drained().await;
            let told: Vec<_> = notes.0.borrow().iter().map(|(event, _)| event.clone()).collect();
            assert_eq!(told, [RaftEvent::PeerAdded(server("n3")), RaftEvent::PeerRemoved(server("n2"))]);
        };
        LocalSet::new().run_until(run).await;
    }
}
