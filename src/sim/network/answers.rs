//! Where the answers of a node go.

use std::sync::{Arc, Weak};

use super::{
    Cargo,
    ends::Ends,
    hosts::{Life, Vital},
    shared::Shared,
};
use crate::{
    transport::{ResponseSink, RpcError},
    types::Response,
};

/// Where the node that is asked answers. Does not hold the node, which may hold it for ever.
pub(super) struct Answers {
    pub(super) shared: Weak<Shared>,
    pub(super) ends: Arc<Ends>,
    /// The life that answers.
    pub(super) answering: Life,
}

impl ResponseSink for Answers {
    /// The node answers. Its answer leaves it, unless it is dead or has stopped.
    fn respond(&self, request_id: u64, result: Result<Response, RpcError>) {
        let Some(shared) = self.shared.upgrade() else { return };
        let (vital, watch) =
            shared.change(|state, _| (state.hosts.vital(self.answering), state.watch.clone()));
        if vital != Vital::Running {
            return;
        }
        // Whatever the error, all that is sent is that there is no answer.
        let result = result.map_err(|_| RpcError::Dropped);
        if let Some(watch) = watch {
            watch.leaves(self.ends.way_back(), Cargo::Answer(result.as_ref()));
        }
        shared.change(|state, now| state.answer_departs(now, self.ends.channel, request_id, result));
    }
}
