//! Waiting for another leadership: the latest one counts, and nobody who looks slowly holds anything up.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Board, ServerRole, State};
use crate::types::{NodeId, Term};

/// Who leads, as far as a node knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Leadership {
    /// The node's term.
    pub term: Term,
    /// Who leads in it, if that is known.
    pub leader: Option<NodeId>,
    /// Whether this node does.
    pub here: bool,
}

impl Leadership {
    pub(super) fn of(state: &State) -> Self {
        Self { term: state.term, leader: state.leader.clone(), here: state.role == ServerRole::Leader }
    }

    /// The term that this node leads in, if it does.
    fn tenure(&self) -> Option<Term> {
        self.here.then_some(self.term)
    }
}

/// Follows who leads, from any thread. Latest wins: of what came and went between two looks, nothing is told
/// (hashicorp's `LeaderCh`, which keeps the newest; its `NotifyCh` keeps all and can block the node).
#[derive(Clone)]
pub struct LeadershipWatch {
    board: Arc<Board>,
    seen: Leadership,
    tenure: Option<Term>,
}

impl LeadershipWatch {
    pub(crate) fn new(board: Arc<Board>) -> Self {
        let seen = board.leadership();
        Self { board, tenure: seen.tenure(), seen }
    }

    /// Who leads now.
    pub fn current(&self) -> Leadership {
        self.board.leadership()
    }

    /// Waits until term or leader are others than when this watch last said so, or was made. `None` once the node
    /// has stopped.
    pub async fn changed(&mut self) -> Option<Leadership> {
        let seen = self.seen.clone();
        self.seen = self.board.wait_for_leadership(|now| *now != seen).await?;
        Some(self.seen.clone())
    }

    /// Waits until this node is elected or deposed: [`Leadership::here`] says which (hashicorp's `LeaderCh`). Who
    /// was deposed and elected again meanwhile is told so once, with the newer term. `None` once the node has
    /// stopped, which ends a leadership too.
    pub async fn elected_or_deposed(&mut self) -> Option<Leadership> {
        let tenure = self.tenure;
        let now = self.board.wait_for_leadership(|now| now.tenure() != tenure).await?;
        self.tenure = now.tenure();
        Some(now)
    }
}

impl fmt::Debug for LeadershipWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeadershipWatch").field("seen", &self.seen).finish_non_exhaustive()
    }
}

impl Board {
    pub(crate) fn leadership(&self) -> Leadership {
        Leadership::of(&self.state())
    }

    /// Waits for a leadership that `differs`. `None` once the node has stopped or failed.
    async fn wait_for_leadership(&self, differs: impl Fn(&Leadership) -> bool) -> Option<Leadership> {
        self.wait_for(|state| {
            if state.stopped || state.fatal.is_some() {
                return Some(None);
            }
            Some(Leadership::of(state)).filter(&differs).map(Some)
        })
        .await
    }
}
