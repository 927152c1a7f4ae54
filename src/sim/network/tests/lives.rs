//! A process that dies takes with it what is its own, and nothing else.

use super::*;
use crate::transport::conformance::node::echo;

#[tokio::test(start_paused = true)]
async fn what_a_dead_process_had_sent_still_arrives() {
    let pair = Pair::new(1, Conditions::default()).await;
    pair.send(1);
    pair.network.fence("n1:1");
    sleep(ms(10_000)).await;
    assert_eq!(pair.arrived(), [1]);
    assert_eq!(pair.answered(), [], "its answer goes nowhere");
}

#[tokio::test(start_paused = true)]
async fn a_dead_process_neither_sends_nor_answers_nor_is_asked() {
    let pair = Pair::new(1, Conditions::default()).await;
    let back = pair.two.link(&"n1".into(), "n1:1", Lane::Bulk);
    let others = Arc::<Answers>::default();
    pair.first.behave(Manner::Keep);
    others.request(&*back, 1, ask(1));
    pair.first.arrivals(1).await;
    others.request(&*back, 2, ask(2));
    let trace = Trace::new();
    pair.network.watch(trace.clone());
    pair.network.fence("n1:1");
    // What runs as its parts are dropped.
    pair.send(3);
    pair.first.kept().into_iter().for_each(|(number, responder)| responder.respond(Ok(echo(number))));
    sleep(ms(10_000)).await;
    assert_eq!((trace.take(), pair.answered()), (vec![], vec![]));
    assert_eq!((pair.first.arrived(), pair.arrived()), (0, vec![]));
    let told = others.taken();
    assert!(matches!(told[..], [(1, Err(RpcError::Lost(_))), (2, Err(RpcError::Lost(_)))]), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_dead_process_hears_soon_of_it_and_late_of_a_dead_machine() {
    for is_told in [true, false] {
        let pair = Pair::new(1, Conditions::default()).await;
        pair.second.behave(Manner::Keep);
        pair.send(1);
        pair.second.arrivals(1).await;
        if is_told {
            pair.network.fence("n2:1")
        } else {
            pair.network.fence_silently("n2:1")
        }
        let began = Instant::now();
        assert!(is_lost(&pair.answers.wait(1).await[0].1));
        assert_eq!(began.elapsed() < ms(10), is_told, "{:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_left_before_its_process_died_arrives() {
    let pair = Pair::new(1, Conditions::default()).await;
    pair.send(1);
    pair.second.arrivals(1).await;
    pair.network.fence("n2:1");
    sleep(ms(10)).await;
    assert_eq!(pair.answered(), [(1, Ok(1))]);
}

#[tokio::test(start_paused = true)]
async fn the_next_life_is_another_one() {
    let mut pair = Pair::new(1, Conditions::default()).await;
    pair.second.behave(Manner::Keep);
    pair.send(1);
    pair.second.arrivals(1).await;
    pair.send(2);
    pair.network.fence("n2:1");
    let (two, before) = (pair.two, pair.second);
    (pair.two, pair.second) = start(&pair.network, "n2");
    drop(two);
    before.kept().into_iter().for_each(|(number, responder)| responder.respond(Ok(echo(number))));
    pair.send(3);
    sleep(ms(100)).await;
    let answered = pair.answered();
    let [(1, lost), (2, lost_too), (3, Ok(3))] = &answered[..] else { panic!("{answered:?}") };
    assert!(is_lost(lost) && is_lost(lost_too));
    assert_eq!((pair.arrived(), before.arrived()), (vec![3], 0));
}

#[tokio::test(start_paused = true)]
async fn a_dead_process_cannot_take_the_address_of_the_next() {
    let network = network(1);
    let mut late = network.transport("n1:1");
    network.fence("n1:1");
    assert!(late.start(Node::new("n1", 7)).is_err());
    let (_one, node) = start(&network, "n1");
    drop(late);
    let (two, _) = start(&network, "n2");
    let link = two.link(&"n1".into(), "n1:1", Lane::Control);
    assert_eq!(Arc::<Answers>::default().ask(&*link, 1).await, Ok(1));
    assert_eq!(node.arrived(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_node_is_told_at_once_of_all_it_waits_for() {
    let mut pair = Pair::new(1, Conditions::default()).await;
    pair.send(1);
    pair.one.stop();
    assert!(matches!(pair.answered()[..], [(1, Err(RpcError::Lost(_)))]));
    sleep(ms(10)).await;
    assert_eq!((pair.arrived(), pair.answered()), (vec![1], vec![]));
}

/// A node that is dropped within the network may hold responders that the network gave it.
#[tokio::test(start_paused = true)]
async fn a_node_may_be_dropped_by_the_network_itself() {
    let pair = Pair::new(1, Conditions::default()).await;
    pair.second.behave(Manner::Keep);
    pair.send(1);
    pair.second.arrivals(1).await;
    let Pair { network, one: _one, mut two, second, answers, .. } = pair;
    let node = Arc::downgrade(&second);
    drop(second);
    two.stop();
    assert!(node.upgrade().is_none(), "nothing holds the node any more");
    assert!(is_lost(&answers.wait(1).await[0].1));
    drop(network);
}
