//! State machines of users: a sound one passes, one that is not the same on every node is found.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
};

use actix::Message;
use raftix::{
    DecodeError,
    prelude::*,
    sim::{Activity, Client, Verdict, Workload, history::Action, run},
};
use serde::{Deserialize, Serialize};

use crate::short;

#[derive(Clone, Debug, Message, Serialize, Deserialize)]
#[rtype(result = "u64")]
struct Add(u64);

#[derive(Clone, Debug, Message)]
#[rtype(result = "u64")]
struct Total;

/// Adds up; a biased one adds something of its own that differs from one value of it to the next, and one that
/// misreads adds something to what it reads itself.
struct Counter {
    total: u64,
    bias: u64,
    misreads: u64,
}

impl StateMachine for Counter {
    type Command = Add;
    type Query = Total;

    fn apply(&mut self, _: LogId, Add(amount): Add) -> u64 {
        self.total += amount + self.bias;
        self.total
    }

    fn apply_encoded(&mut self, at: LogId, command: &[u8]) -> Result<u64, DecodeError> {
        let Add(amount) = rmp_serde::from_slice(command)?;
        Ok(self.apply(at, Add(amount + self.misreads)))
    }

    fn query(&self, _: Total) -> u64 {
        self.total
    }

    fn snapshot(&self) -> Option<Box<dyn StateSnapshot>> {
        Some(Box::new(Sum(self.total)))
    }

    fn restore(&mut self, reader: &mut dyn io::Read) -> io::Result<()> {
        let mut total = [0; 8];
        reader.read_exact(&mut total)?;
        self.total = u64::from_le_bytes(total);
        Ok(())
    }
}

struct Sum(u64);

impl StateSnapshot for Sum {
    fn persist(self: Box<Self>, writer: &mut dyn io::Write) -> io::Result<()> {
        writer.write_all(&self.0.to_le_bytes())
    }
}

#[derive(Clone, Default)]
struct Counting {
    biased: bool,
    misreads: bool,
}

static MADE: AtomicU64 = AtomicU64::new(0);

impl Workload for Counting {
    type Machine = Counter;
    type Client = Adder;

    fn machine(&self) -> Counter {
        let bias = if self.biased { MADE.fetch_add(1, Ordering::Relaxed) } else { 0 };
        Counter { total: 0, bias, misreads: u64::from(self.misreads) }
    }

    fn client(&self, _: u64, seed: u64) -> Adder {
        Adder(seed)
    }
}

struct Adder(u64);

impl Client<Counter> for Adder {
    fn next_action(&mut self) -> Action<Counter> {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        if self.0 >> 62 == 0 { Action::Query(Total) } else { Action::Apply(Add(self.0 >> 60)) }
    }
}

#[test]
fn a_sound_state_machine_passes() {
    for seed in 0..3 {
        let report = run(Counting::default(), short(seed));
        assert_eq!(report.violation(), None, "seed {seed}");
        let answered = report.activities.of(Activity::Acknowledged);
        assert!(answered > 20, "seed {seed}: only {answered} operations");
    }
}

#[test]
fn a_state_machine_that_differs_between_nodes_is_found() {
    let report = run(Counting { biased: true, ..Counting::default() }, short(1));
    let Verdict::Failed(violation) = report.verdict else { panic!("not found: {:?}", report.verdict) };
    // Whichever comes first: clients are told different totals, or two nodes write down their states.
    let laws = ["linearizability, by the log", "exactly once", "a snapshot is the state at its index"];
    assert!(laws.contains(&violation.law), "{violation:?}");
}

#[test]
fn a_state_machine_that_applies_encodings_otherwise_is_found() {
    let report = run(Counting { misreads: true, ..Counting::default() }, short(1));
    let Verdict::Failed(violation) = report.verdict else { panic!("not found: {:?}", report.verdict) };
    // All nodes agree; only what the log comes to by `apply` is something else.
    assert_eq!(violation.law, "linearizability, by the log", "{violation:?}");
}
