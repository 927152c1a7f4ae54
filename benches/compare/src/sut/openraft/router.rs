//! openraft's network in memory: a call of the other node.

use std::{
    future::Future,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use futures::{FutureExt, Stream, StreamExt};
use openraft::{
    AnyError, OptionalSend, RaftNetworkFactory, RaftNetworkV2,
    alias::{SnapshotOf, VoteOf},
    base::{BoxFuture, BoxStream},
    errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable},
    network::{RPCOption, stream_append_sequential},
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult, VoteRequest,
        VoteResponse,
    },
};

use super::{store::Node, types::Types};
use crate::job::NODES;

/// Who is where; a clone is a handle to the same.
#[derive(Clone)]
pub(crate) struct Router {
    nodes: Arc<OnceLock<Vec<Node>>>,
    /// Who is cut off.
    cut: Arc<[AtomicBool; NODES]>,
    /// Whose router this is.
    own: usize,
    streaming: bool,
}

impl Router {
    pub(crate) fn new(streaming: bool) -> Self {
        Self { nodes: Arc::default(), cut: Arc::default(), own: 0, streaming }
    }

    /// The same for node `own`.
    pub(crate) fn of(&self, own: usize) -> Self {
        Self { own, ..self.clone() }
    }

    /// Cuts a node off from all others, or heals it.
    pub(crate) fn cut(&self, number: usize, cut: bool) {
        self.cut[number].store(cut, Relaxed);
    }

    /// Makes the nodes known to each other.
    pub(crate) fn connect(&self, nodes: &[Node]) {
        assert!(self.nodes.set(nodes.to_vec()).is_ok(), "the nodes are connected once");
    }
}

impl RaftNetworkFactory<Types> for Router {
    type Network = Way;

    async fn new_client(&mut self, target: u64, (): &()) -> Way {
        let nodes = self.nodes.get().expect("a node has nobody to call before it is a member");
        let node = nodes[target as usize].clone();
        Way { node, ends: [self.own, target as usize], cut: self.cut.clone(), streaming: self.streaming }
    }
}

/// The way to one node.
pub(crate) struct Way {
    node: Node,
    ends: [usize; 2],
    cut: Arc<[AtomicBool; NODES]>,
    streaming: bool,
}

impl Way {
    /// What a call brought, unless one of the two is cut off.
    fn arrived<T>(&self, answer: T) -> Result<T, RPCError<Types>> {
        if self.ends.iter().any(|end| self.cut[*end].load(Relaxed)) {
            return Err(unreachable(&AnyError::error("cut off")));
        }
        Ok(answer)
    }
}

fn unreachable(error: &(impl std::error::Error + 'static)) -> RPCError<Types> {
    RPCError::Unreachable(Unreachable::new(error))
}

impl RaftNetworkV2<Types> for Way {
    type SnapshotData = ();

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        self.arrived(())?;
        let answer = self.node.append_entries(request).await.map_err(|error| unreachable(&error))?;
        self.arrived(answer)
    }

    fn stream_append<'s, S>(
        &'s mut self,
        requests: S,
        option: RPCOption,
    ) -> BoxFuture<
        's,
        Result<BoxStream<'s, Result<StreamAppendResult<Types>, RPCError<Types>>>, RPCError<Types>>,
    >
    where
        S: Stream<Item = AppendEntriesRequest<Types>> + OptionalSend + Unpin + 'static,
    {
        if !self.streaming {
            return stream_append_sequential(self, requests, option);
        }
        let answers = self.node.stream_append(requests);
        let answers =
            answers.map(|answer| answer.map_err(|error| RPCError::Network(NetworkError::new(&error))));
        let answers: BoxStream<'s, _> = Box::pin(answers);
        async { Ok(answers) }.boxed()
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        _: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.arrived(())?;
        let answer = self.node.vote(request).await.map_err(|error| unreachable(&error))?;
        self.arrived(answer)
    }

    async fn full_snapshot(
        &mut self,
        _: VoteOf<Types>,
        _: SnapshotOf<Types, ()>,
        _: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        Err(StreamingError::Unreachable(Unreachable::new(&AnyError::error(
            "the comparison takes no snapshots",
        ))))
    }
}
