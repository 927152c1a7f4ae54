//! Sender and follower with a network in between that loses, doubles and reorders, and a disk that takes its time.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{
    protocol::{Arrival, Installation},
    types::{ClusterId, InstallSnapshot, LogId, LogIndex, SnapshotDescription, SnapshotMeta, Term},
};

const NOW: Duration = Duration::ZERO;

/// What may happen next.
#[derive(Clone, Debug)]
enum Event {
    Send,
    /// The request, or the answer, at this place of those under way arrives; with `copy` it stays under way too.
    Arrive {
        request: bool,
        at: usize,
        copy: bool,
    },
    Lose {
        request: bool,
        at: usize,
    },
    /// The disk finishes the oldest write.
    Write,
    /// The sender hears that everything it waits for is lost.
    Break,
    /// The follower forgets its session, as after a silence.
    Forget,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let place = (any::<bool>(), 0..8usize);
    let event = prop_oneof![
        4 => Just(Event::Send),
        6 => (place.clone(), prop::bool::weighted(0.2))
            .prop_map(|((request, at), copy)| Event::Arrive { request, at, copy }),
        1 => place.prop_map(|(request, at)| Event::Lose { request, at }),
        3 => Just(Event::Write),
        1 => Just(Event::Break),
        1 => Just(Event::Forget),
    ];
    prop::collection::vec(event, 0..200)
}

struct World {
    content: Vec<u8>,
    transmission: Transmission,
    sent: u64,
    requests: Vec<(u64, InstallSnapshot)>,
    answers: Vec<(u64, u64)>,
    installation: Installation,
    /// What the session's file holds, and what is queued for it.
    file: Vec<u8>,
    writes: Vec<(u64, Vec<u8>)>,
    /// Answers that wait for a write: session, what must be written, request.
    held: Vec<(u64, u64, u64)>,
    session: u64,
    published: bool,
}

impl World {
    fn new(length: usize, piece_bytes: usize, window: usize) -> Self {
        let content: Vec<u8> = (0..length).map(|at| at as u8).collect();
        Self {
            transmission: Transmission::new(length as u64, piece_bytes, window),
            content,
            sent: 0,
            requests: Vec::new(),
            answers: Vec::new(),
            installation: Installation::new(u64::MAX, Duration::MAX),
            file: Vec::new(),
            writes: Vec::new(),
            held: Vec::new(),
            session: 0,
            published: false,
        }
    }

    fn send(&mut self) {
        let Some(next) = self.transmission.next() else { return };
        self.sent += 1;
        self.transmission.sent(self.sent, next);
        let (offset, data) = match next {
            NextPiece::Ask => (self.transmission.position(), Vec::new()),
            NextPiece::Send { offset, length } => {
                (offset, self.content[offset as usize..offset as usize + length].to_vec())
            }
        };
        let last = LogId::new(Term(1), LogIndex(9));
        let description =
            SnapshotDescription { last, cluster: ClusterId(1), ..SnapshotDescription::default() };
        let snapshot = SnapshotMeta { description, bytes: self.content.len() as u64, checksum: 0 };
        let (term, leader) = (Term(1), "n1".into());
        let request = InstallSnapshot { term, leader, snapshot, offset, data: data.into() };
        self.requests.push((self.sent, request));
    }

    fn arrive(&mut self, number: u64, request: &InstallSnapshot) {
        match self.installation.arrived(NOW, request, LogIndex::ZERO) {
            Arrival::Piece { session, begins, taken, wanted } => {
                if begins {
                    self.file.clear();
                    self.writes.clear();
                    self.session = session;
                }
                if taken {
                    self.writes.push((session, request.data.to_vec()));
                }
                self.held.push((session, wanted, number));
                self.written();
            }
            Arrival::Finishing => self.published = true,
            Arrival::Known | Arrival::Refused => panic!("of the only snapshot there is"),
        }
    }

    fn write(&mut self) {
        if !self.writes.is_empty() {
            let (session, data) = self.writes.remove(0);
            assert_eq!(session, self.session);
            self.file.extend(data);
            assert!(self.content.starts_with(&self.file), "a front part of the content, in order");
            self.written();
        }
    }

    fn written(&mut self) {
        let written = self.file.len() as u64;
        if self.installation.written(NOW, self.session, written) {
            assert_eq!(self.file, self.content);
        }
        for (session, wanted, number) in std::mem::take(&mut self.held) {
            if session != self.session || wanted <= written {
                self.answers.push((number, wanted));
            } else {
                self.held.push((session, wanted, number));
            }
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Send => self.send(),
            Event::Arrive { request: true, at, copy } if at < self.requests.len() => {
                let (number, request) = self.requests[at].clone();
                if !copy {
                    self.requests.remove(at);
                }
                self.arrive(number, &request);
            }
            Event::Arrive { request: false, at, copy } if at < self.answers.len() => {
                let (number, wanted) = self.answers[at];
                if !copy {
                    self.answers.remove(at);
                }
                self.transmission.wanted(number, wanted);
            }
            Event::Lose { request: true, at } if at < self.requests.len() => {
                self.requests.remove(at);
            }
            Event::Lose { request: false, at } if at < self.answers.len() => {
                self.answers.remove(at);
            }
            Event::Write => self.write(),
            Event::Break => self.transmission.lost(self.sent),
            Event::Forget if !self.installation.is_finishing() => {
                self.installation.ended(self.session);
            }
            _ => {}
        }
    }

    /// The network is good from here on: everything arrives in order, and a loss is noticed.
    fn settle(&mut self) {
        for _ in 0..10 * self.content.len() + 100 {
            if self.published {
                return;
            }
            self.send();
            while !self.requests.is_empty() {
                let (number, request) = self.requests.remove(0);
                self.arrive(number, &request);
            }
            while !self.writes.is_empty() {
                self.write();
            }
            if self.answers.is_empty() {
                self.transmission.lost(self.sent);
            }
            for (number, wanted) in std::mem::take(&mut self.answers) {
                self.transmission.wanted(number, wanted);
            }
        }
        panic!("it does not end: {:?} {:?}", self.transmission, self.installation);
    }
}

proptest! {
    #[test]
    fn whatever_is_lost_doubled_or_reordered_the_file_is_a_front_part_and_becomes_whole(
        length in 0..60usize,
        piece_bytes in 1..12usize,
        window in 1..5usize,
        events in events(),
    ) {
        let mut world = World::new(length, piece_bytes, window);
        for event in events {
            world.happen(event);
        }
        world.settle();
        prop_assert_eq!(&world.file, &world.content);
    }
}
