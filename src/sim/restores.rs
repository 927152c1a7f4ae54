//! Restores that somebody asks for while faults strike, in a quarter of the seeds.
//!
//! What is restored is the state as it is, under another number: so everything that holds of commands and answers holds on,
//! and the number says which restores a state has seen, in which order, and between which commands
//! ([`Observed`](super::observed::Observed)).

use std::{io::Cursor, rc::Rc, time::Duration};

use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{clients::Clients, observed::renumbered, oracle::Oracle, workload::Workload};
use crate::messages::Restore;

/// The largest, in bytes: some pieces.
const BYTES_MAX: usize = 1 << 20;
/// How long whoever restores something waits.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long a node that does not answer is waited for.
const PATIENCE: Duration = Duration::from_secs(8);

/// Restores something now and then, if this is a run for it.
pub(super) fn start<W: Workload>(
    clients: &Rc<Clients<W>>,
    oracle: &Oracle,
    seed: u64,
) -> Option<JoinHandle<()>> {
    let rng = || fastrand::Rng::with_seed(seed);
    let restores = || tokio::task::spawn_local(run(clients.clone(), oracle.clone(), rng()));
    seed.is_multiple_of(4).then(restores)
}

async fn run<W: Workload>(clients: Rc<Clients<W>>, oracle: Oracle, mut rng: fastrand::Rng) {
    let mut number = 0;
    while !clients.is_over() {
        sleep(Duration::from_millis(rng.u64(1..8000))).await;
        let leader = clients.doors.leader().filter(|_| !clients.is_held());
        let Some((node, raft)) = leader else { continue };
        number += 1;
        oracle.note("restores", Some(node), [number, 0, 0]);
        let state = Cursor::new(renumbered(number, rng.usize(..BYTES_MAX)));
        let within = DEADLINE.mul_f64(rng.f64());
        let answer = timeout(PATIENCE, raft.send(Restore::new(state, within))).await;
        let (told, at) = match answer {
            Ok(Ok(Ok(at))) => (Some(true), at.0),
            Ok(Ok(Err(error))) if error.is_refused() => (Some(false), 0),
            // It does not know, it died, or it does not answer.
            Ok(Ok(Err(_)) | Err(_)) | Err(_) => (None, u64::MAX),
        };
        oracle.note("restored", Some(node), [number, at, 0]);
        oracle.restore_answered(number, told);
    }
}
