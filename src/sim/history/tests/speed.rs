//! How much the search takes, in steps, which are the same everywhere, and in time, which it says.

use tokio::time::{Duration, Instant};

use super::support::*;
use crate::sim::{
    history::{linearizable, log_order},
    kv::{Kv, KvModel},
};

const BUSY: Shape = Shape { clients: 8, keys: 5, operations: 2_000, unknown_percent: 10, wrong_percent: 0 };

#[test]
fn two_thousand_operations_of_eight_clients_with_a_tenth_unknown_are_decided_in_few_steps() {
    for seed in 0..5 {
        let Execution { history, log } = execute(seed, BUSY);
        let began = Instant::now();
        let verdict = linearizable::check(&KvModel::of(&history), &history, 50_000);
        let took = began.elapsed();
        assert!(verdict.is_linearizable(), "seed {seed}: {verdict}");
        let began = Instant::now();
        log_order::check(Kv::default(), &history, &log).unwrap();
        eprintln!("seed {seed}: linearizable in {took:?}, in the order of the log in {:?}", began.elapsed());
        let limit = Duration::from_millis(if cfg!(debug_assertions) { 5_000 } else { 100 });
        assert!(took < limit, "seed {seed}: {took:?}");
    }
}
