//! The clients of the bench.

use std::{cell::RefCell, rc::Rc, time::Instant};

use bytes::Bytes;
use hdrhistogram::Histogram;
use raftix::prelude::*;

use crate::{
    Options,
    digest::{Blob, Digest},
};

/// How many commands pass between two whose time is taken: reading the clock costs as much as a message.
const SAMPLE: u64 = 8;

/// What was measured.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) ops: u64,
    pub(crate) seconds: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

/// Runs every client to its end.
pub(crate) async fn run(leader: &Raft<Digest>, options: &Options) -> Measured {
    let times = Rc::new(RefCell::new(Histogram::<u64>::new(3).expect("three digits are allowed")));
    let payload = Bytes::from(vec![7; options.payload]);
    let clients = options.clients.max(1) as u64;
    let start = Instant::now();
    let tasks: Vec<_> = (0..clients)
        .map(|client| {
            let ops = options.ops / clients + u64::from(client < options.ops % clients);
            actix_rt::spawn(client_loop(leader.clone(), payload.clone(), ops, times.clone()))
        })
        .collect();
    let mut applied = 0;
    for task in tasks {
        applied += task.await.expect("a client panicked");
    }
    let seconds = start.elapsed().as_secs_f64();
    let times = times.borrow();
    let us = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
    Measured { ops: applied, seconds, p50_us: us(0.5), p99_us: us(0.99) }
}

async fn client_loop(
    leader: Raft<Digest>,
    payload: Bytes,
    ops: u64,
    times: Rc<RefCell<Histogram<u64>>>,
) -> u64 {
    for number in 0..ops {
        let began = (number % SAMPLE == 0).then(Instant::now);
        let applied = leader.send(Apply(Blob(payload.clone()))).await;
        applied.expect("the node runs").expect("the command is applied");
        if let Some(began) = began {
            let nanoseconds = began.elapsed().as_nanos() as u64;
            times.borrow_mut().record(nanoseconds.max(1)).expect("the histogram grows");
        }
    }
    ops
}
