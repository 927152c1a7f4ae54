//! How the actors of a node are tied together: each speaks without knowing who listens.

use crate::{
    actors::{
        consensus::Consensus,
        fsm_applier::FsmCompletion,
        node::{ConsensusOutlets, FrontDoor},
        raft_system::RaftSystem,
        storage::{Completion, Completions},
        ticker::Ticker,
    },
    mailbox::{Outlet, Port},
    messages::{
        EntriesRead, Flushed, IdentitySaved, LeadershipChanged, NodeFailed, ReadIndexReady, StorageClosed,
        StorageFailed, StorageRoom, VoteSaved,
    },
    state_machine::StateMachine,
};

pub(super) fn consensus_outlets(consensus: &Port<Consensus>) -> ConsensusOutlets {
    ConsensusOutlets { step_down: consensus.outlet(), decided: consensus.outlet(), stop: consensus.outlet() }
}

/// What the store has done goes to Consensus; that it is closed, to the front door.
pub(super) fn storage_completions<S: StateMachine>(
    consensus: Port<Consensus>,
    front: Port<RaftSystem<S>>,
) -> Completions {
    Outlet::new(move |completion| match completion {
        Completion::Flushed(ticket) => consensus.send_now(Flushed { ticket }),
        Completion::VoteSaved(vote) => consensus.send_now(VoteSaved { vote }),
        Completion::IdentitySaved { cluster, member } => {
            consensus.send_now(IdentitySaved { cluster, member })
        }
        Completion::Read { reader, batches } => consensus.send_now(EntriesRead { reader, batches }),
        Completion::Room { full } => consensus.send_now(StorageRoom { full }),
        Completion::Failed(error) => consensus.send_now(StorageFailed { error }),
        Completion::Closed => front.send_now(StorageClosed),
    })
}

/// What the state machine has done goes to the front door.
pub(super) fn fsm_completions<S: StateMachine>(front: Port<RaftSystem<S>>) -> Outlet<FsmCompletion<S>> {
    Outlet::new(move |completion| match completion {
        FsmCompletion::Applied(message) => front.send_now(message),
        FsmCompletion::Queried(message) => front.send_now(message),
        FsmCompletion::Failed(message) => front.send_now(message),
    })
}

pub(super) fn subscribe<A>(ticker: &Ticker, port: &Port<A>)
where
    A: actix::Actor<Context = crate::mailbox::Context<A>> + actix::Handler<crate::messages::Tick>,
{
    let port = port.clone();
    ticker.subscribe(move |tick| {
        port.send_now(tick);
        port.connected()
    });
}

impl<S: StateMachine> FrontDoor for Port<RaftSystem<S>> {
    fn leadership_changed(&self, message: LeadershipChanged) {
        self.send_now(message);
    }

    fn read_index_ready(&self, message: ReadIndexReady) {
        self.send_now(message);
    }

    fn failed(&self, message: NodeFailed) {
        self.send_now(message);
    }
}
