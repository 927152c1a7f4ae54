//! What every [`Transport`] must do, as a suite that a new one is put through.
//!
//! ```no_run
//! # async fn check() {
//! use raftix::transport::{conformance, tcp::{TcpOptions, TcpTransport}};
//!
//! conformance::run(|at| TcpTransport::new(TcpOptions::new(at.unwrap_or("127.0.0.1:0")))).await;
//! # }
//! ```

pub(crate) mod node;

use std::{sync::Arc, time::Duration};

use tokio::{task::LocalSet, time::sleep};

use self::node::{Answers, Manner, Node, ask, echo, read};
use super::{Link, RpcError, Transport};
use crate::types::{
    AppendEntries, Entries, EntryBuffer, EntryKind, Lane, LogId, LogIndex, NodeId, Request, Term,
};

/// Puts transports that `transport_at` makes through the suite. It gets the address to listen at, or
/// `None` for any that is free.
///
/// # Panics
/// At the first thing that a transport does wrong.
pub async fn run<T: Transport>(transport_at: impl FnMut(Option<&str>) -> T) {
    let mut suite = Suite { transport_at };
    LocalSet::new()
        .run_until(async {
            suite.every_lane_asks_and_is_answered().await;
            suite.requests_arrive_in_order_and_answers_in_any().await;
            suite.entries_arrive_as_they_were().await;
            suite.a_dropped_request_is_answered_so().await;
            suite.what_reaches_nobody_was_not_sent().await;
            suite.only_the_right_node_of_the_right_cluster_is_talked_to().await;
            suite.a_stopped_node_answers_all_and_hears_nothing().await;
            suite.a_peer_that_comes_back_is_found_again().await;
            suite.an_address_is_listened_on_once();
        })
        .await;
}

struct Suite<F> {
    transport_at: F,
}

/// A started transport with its node.
struct Member<T> {
    transport: T,
    node: Arc<Node>,
    id: NodeId,
    address: String,
}

impl<T: Transport> Member<T> {
    fn link_to(&self, other: &Member<T>, lane: Lane) -> Box<dyn Link> {
        self.transport.link(&other.id, &other.address, lane)
    }
}

impl<T: Transport, F: FnMut(Option<&str>) -> T> Suite<F> {
    fn start(&mut self, id: &str, cluster: u128, at: Option<&str>) -> Member<T> {
        let mut transport = (self.transport_at)(at);
        let node = Node::new(id, cluster);
        let address = transport.start(node.clone()).expect("a free address can be listened on");
        Member { transport, node, id: id.into(), address }
    }

    fn pair(&mut self) -> (Member<T>, Member<T>) {
        (self.start("n1", 7, None), self.start("n2", 7, None))
    }

    async fn every_lane_asks_and_is_answered(&mut self) {
        let (one, two) = self.pair();
        let answers = Arc::<Answers>::default();
        for (number, lane) in [(1, Lane::Control), (2, Lane::Bulk), (3, Lane::Forward), (4, Lane::Snapshot)] {
            let there = one.link_to(&two, lane);
            assert_eq!(answers.ask(&*there, number).await, Ok(number), "{lane:?}");
            let back = two.link_to(&one, lane);
            assert_eq!(answers.ask(&*back, number).await, Ok(number), "{lane:?}");
            let (from, _) = two.node.arrivals(1).await.remove(0);
            assert_eq!((from.id, from.cluster.0), ("n1".into(), 7));
        }
    }

    async fn requests_arrive_in_order_and_answers_in_any(&mut self) {
        let (one, two) = self.pair();
        let answers = Arc::<Answers>::default();
        two.node.behave(Manner::Keep);
        let link = one.link_to(&two, Lane::Bulk);
        for number in 0..1000 {
            answers.request(&*link, number, ask(number));
        }
        let arrived = two.node.arrivals(1000).await;
        assert!(arrived.iter().map(|(_, request)| node::number(request)).eq(0..1000), "in order");
        let mut kept = two.node.kept();
        kept.reverse();
        for (number, responder) in kept {
            responder.respond(Ok(echo(number)));
        }
        for (id, result) in answers.wait(1000).await {
            assert_eq!(result.map(|response| read(&response)), Ok(id));
        }
    }

    async fn entries_arrive_as_they_were(&mut self) {
        let (one, two) = self.pair();
        two.node.behave(Manner::Drop);
        let batch = |first, size| {
            let mut buffer = EntryBuffer::default();
            (0..10u8).for_each(|i| buffer.push(EntryKind::Command, &vec![i; size]));
            buffer.seal(LogIndex(first), Term(4))
        };
        let mut entries = Entries::from(batch(21, 3));
        entries.push(batch(31, 70_000));
        let append = AppendEntries {
            term: Term(4),
            leader: "n1".into(),
            prev: LogId::new(Term(3), LogIndex(20)),
            commit: LogIndex(19),
            entries: entries.clone(),
        };
        let link = one.link_to(&two, Lane::Bulk);
        let answers = Arc::<Answers>::default();
        answers.request(&*link, 1, Request::AppendEntries(append));
        let (_, request) = two.node.arrivals(1).await.remove(0);
        let Request::AppendEntries(arrived) = request else { panic!("not what was sent: {request:?}") };
        assert_eq!((arrived.term, &*arrived.leader.to_string()), (Term(4), "n1"));
        assert_eq!((arrived.prev, arrived.commit), (LogId::new(Term(3), LogIndex(20)), LogIndex(19)));
        assert!(arrived.entries.iter().eq(entries.iter()));
    }

    async fn a_dropped_request_is_answered_so(&mut self) {
        let (one, two) = self.pair();
        two.node.behave(Manner::Drop);
        let link = one.link_to(&two, Lane::Forward);
        assert_eq!(Arc::<Answers>::default().ask(&*link, 1).await, Err(RpcError::Dropped));
    }

    async fn what_reaches_nobody_was_not_sent(&mut self) {
        let (one, mut two) = self.pair();
        two.transport.stop();
        let link = one.link_to(&two, Lane::Control);
        let answers = Arc::<Answers>::default();
        for number in 0..3 {
            assert!(matches!(answers.ask(&*link, number).await, Err(RpcError::NotSent(_))));
        }
    }

    async fn only_the_right_node_of_the_right_cluster_is_talked_to(&mut self) {
        let (one, two) = self.pair();
        let other = self.start("n3", 8, None);
        let blank = self.start("n4", 0, None);
        let answers = Arc::<Answers>::default();
        let misled = one.transport.link(&"n9".into(), &two.address, Lane::Control);
        assert!(matches!(answers.ask(&*misled, 1).await, Err(RpcError::NotSent(_))));
        for (from, to) in [(&one, &other), (&other, &one)] {
            let link = from.link_to(to, Lane::Control);
            assert!(matches!(answers.ask(&*link, 1).await, Err(RpcError::NotSent(_))));
        }
        for (from, to) in [(&one, &blank), (&blank, &one)] {
            assert_eq!(answers.ask(&*from.link_to(to, Lane::Control), 2).await, Ok(2));
        }
    }

    async fn a_stopped_node_answers_all_and_hears_nothing(&mut self) {
        let (mut one, two) = self.pair();
        let answers = Arc::<Answers>::default();
        two.node.behave(Manner::Keep);
        let link = one.link_to(&two, Lane::Bulk);
        let back = two.link_to(&one, Lane::Bulk);
        assert_eq!(answers.ask(&*back, 1).await, Ok(1));
        one.node.arrivals(1).await;
        answers.request(&*link, 2, ask(2));
        two.node.arrivals(1).await;
        one.transport.stop();
        drop(two.node.kept());
        let (_, result) = answers.wait(1).await.remove(0);
        assert!(matches!(result, Err(RpcError::Lost(_) | RpcError::Dropped)), "{result:?}");
        assert!(answers.ask(&*back, 3).await.is_err());
        assert!(matches!(answers.ask(&*link, 4).await, Err(RpcError::NotSent(_))));
        assert!(one.node.arrivals(0).await.is_empty(), "nothing is delivered after the stop");
    }

    async fn a_peer_that_comes_back_is_found_again(&mut self) {
        let (one, mut two) = self.pair();
        let answers = Arc::<Answers>::default();
        let link = one.link_to(&two, Lane::Bulk);
        assert_eq!(answers.ask(&*link, 1).await, Ok(1));
        two.transport.stop();
        let two = self.start("n2", 7, Some(&two.address));
        for number in 2.. {
            match answers.ask(&*link, number).await {
                Ok(_) => break,
                Err(_) => sleep(Duration::from_millis(5)).await,
            }
            assert!(number < 1000, "the link never finds its peer again");
        }
        assert_eq!(two.node.arrivals(1).await.len(), 1);
    }

    fn an_address_is_listened_on_once(&mut self) {
        let first = self.start("n1", 7, None);
        let mut second = (self.transport_at)(Some(&first.address));
        let error = second.start(Node::new("n2", 7)).expect_err("the address is taken");
        assert!(error.to_string().contains(&first.address), "{error}");
    }
}
