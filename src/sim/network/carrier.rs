//! The task that lets a network's time go on.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use super::{
    Cargo, NetworkFault, Watch,
    answers::Answers,
    arrivals::{Delivery, Next},
    channel::Past,
    shared::Shared,
};
use crate::transport::Responder;

/// After so many deliveries in a row the nodes get their turn.
const BURST_MAX: u32 = 1024;
/// The number of an exchange that there never is: an answer to it goes nowhere.
const NOBODY: u64 = u64::MAX;

/// Delivers for ever.
pub(super) async fn carry(shared: Arc<Shared>) {
    let mut burst = 0;
    loop {
        match shared.change(|state, now| state.next(now)) {
            Next::Delivery(delivery, watch) => {
                delivery.hand_over(&shared, watch.as_deref());
                burst += 1;
                if burst == BURST_MAX {
                    burst = 0;
                    tokio::task::yield_now().await;
                }
            }
            Next::At(due) => {
                burst = 0;
                wait(&shared, due).await;
            }
            Next::Nothing => {
                burst = 0;
                shared.hastened.notified().await;
            }
        }
    }
}

async fn wait(shared: &Shared, due: Instant) {
    tokio::select! {
        biased;
        () = shared.hastened.notified() => {}
        () = sleep_until(due) => {}
    }
}

impl Delivery {
    fn hand_over(self, shared: &Arc<Shared>, watch: Option<&dyn Watch>) {
        match self {
            Self::Request { connection, number, request } => {
                if let Some(watch) = watch {
                    watch.arrives(connection.ends.way_there(), Cargo::Request(&request));
                }
                let responder = Responder::new(connection.answers.clone(), number);
                connection.inbound.deliver(&connection.from, request, responder);
            }
            Self::Past { past, answering, inbound } => {
                let Past { request, ends, from, .. } = past;
                // Also long after, it comes over a connection that was let in.
                if inbound.identity().accepts(&from, &from.id).is_err() {
                    return;
                }
                shared.change(|state, _| state.counts.add(NetworkFault::Duplication));
                if let Some(watch) = watch {
                    watch.arrives(ends.way_there(), Cargo::Request(&request));
                }
                let answers = Answers { shared: Arc::downgrade(shared), ends, answering };
                inbound.deliver(&from, request, Responder::new(Arc::new(answers), NOBODY));
            }
            Self::Answer { ends, answer, asker } => {
                if let Some(watch) = watch {
                    watch.arrives(ends.way_back(), Cargo::Answer(answer.as_ref()));
                }
                asker.respond(answer);
            }
            Self::Failure { error, asker } => asker.respond(Err(error)),
        }
    }
}
