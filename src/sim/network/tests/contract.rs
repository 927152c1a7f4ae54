//! Without faults it is a transport like any other, only that time passes.

use super::*;
use crate::transport::conformance;

#[tokio::test(start_paused = true)]
async fn the_simulated_network_keeps_the_contract() {
    for is_coding in [false, true] {
        let network = network(1);
        network.set_coding(is_coding);
        let mut nodes = 0;
        conformance::run(|at| {
            nodes += 1;
            network.transport(at.map_or_else(|| format!("node-{nodes}"), str::to_owned))
        })
        .await;
        assert!(network.counts().values().all(|count| *count == 0), "{:?}", network.counts());
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_takes_the_time_of_its_way_and_a_connection_a_handshake_more() {
    let took = |latency: Duration| async move {
        let network = network(1);
        network.set_all(Conditions { latency_min: latency, latency_max: latency, ..Conditions::default() });
        let ((one, _), (_two, _)) = (start(&network, "n1"), start(&network, "n2"));
        let link = one.link(&"n2".into(), "n2:1", Lane::Control);
        let answers = Arc::<Answers>::default();
        let mut took = Vec::new();
        for number in 0..2 {
            let began = Instant::now();
            assert_eq!(answers.ask(&*link, number).await, Ok(number));
            took.push(began.elapsed());
        }
        took
    };
    assert_eq!(took(ms(10)).await, [ms(40), ms(20)]);
}

#[tokio::test(start_paused = true)]
async fn each_message_is_seen_as_it_leaves_and_as_it_arrives() {
    let trace = Trace::new();
    let conditions = Conditions { latency_min: ms(5), latency_max: ms(5), ..Conditions::default() };
    let pair = Pair::new(1, conditions).await;
    let began = trace.began.elapsed();
    pair.network.watch(trace.clone());
    assert_eq!(pair.answers.ask(&*pair.link, 3).await, Ok(3));
    let [request, answer] = ["Request(ForwardReadIndex", "Answer(Ok(ForwardReadIndex"];
    let seen = [
        (0, "n1:1 → n2:1 Bulk leaves", request),
        (5, "n1:1 → n2:1 Bulk arrives", request),
        (5, "n2:1 → n1:1 Bulk leaves", answer),
        (10, "n2:1 → n1:1 Bulk arrives", answer),
    ];
    let lines = trace.take();
    assert_eq!(lines.len(), 4);
    for (line, (at, passage, cargo)) in lines.iter().zip(seen) {
        let expected = format!("{:?} {passage} {cargo}", began + ms(at));
        assert!(line.starts_with(&expected), "{line} is not {expected}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_not_sent_is_not_seen_to_leave() {
    let (network, trace) = (network(1), Trace::new());
    network.watch(trace.clone());
    let (one, _) = start(&network, "n1");
    let link = one.link(&"n2".into(), "n2:1", Lane::Control);
    let began = Instant::now();
    assert!(is_not_sent(&Arc::<Answers>::default().ask(&*link, 1).await));
    assert!(began.elapsed() > Duration::ZERO, "it takes a while to learn that nobody is there");
    assert_eq!(trace.take(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_has_not_started_sends_nothing() {
    let network = network(1);
    let (_two, _) = start(&network, "n2");
    let own = network.transport("n1:1");
    let link = own.link(&"n2".into(), "n2:1", Lane::Control);
    assert!(is_not_sent(&Arc::<Answers>::default().ask(&*link, 1).await));
}

#[tokio::test(start_paused = true)]
async fn what_a_blank_node_said_holds_only_until_it_joins() {
    let network = network(1);
    let (one, _) = start(&network, "n1");
    let (blank, mut two) = (Node::new("n2", 0), network.transport("n2:1"));
    two.start(blank.clone()).unwrap();
    let link = one.link(&"n2".into(), "n2:1", Lane::Control);
    let answers = Arc::<Answers>::default();
    assert_eq!(answers.ask(&*link, 1).await, Ok(1));
    blank.join(8);
    assert!(is_not_sent(&answers.ask(&*link, 2).await));
}

#[tokio::test(start_paused = true)]
async fn of_too_many_requests_under_way_the_oldest_is_lost() {
    let pair = Pair::new(1, Conditions::default()).await;
    pair.second.behave(Manner::Keep);
    let count = channel::UNDER_WAY_MAX as u64 + 3;
    (0..count).for_each(|number| pair.send(number));
    let lost = pair.answered();
    assert!(
        lost.iter().map(|(number, _)| *number).eq(0..3) && lost.iter().all(|(_, result)| is_lost(result))
    );
    assert_eq!(pair.count(NetworkFault::Overflow), 3);
    pair.second.arrivals(channel::UNDER_WAY_MAX).await;
    drop(pair.second.kept());
    sleep(ms(10)).await;
    let rest = pair.answered();
    assert!(rest.iter().map(|(number, _)| *number).eq(3..count));
    assert!(rest.iter().all(|(_, result)| *result == Err(RpcError::Dropped)));
}

#[tokio::test(start_paused = true)]
async fn what_was_not_sent_is_told_so_also_where_there_is_no_room() {
    let network = network(1);
    let (one, _) = start(&network, "n1");
    let (link, answers) = (one.link(&"n2".into(), "n2:1", Lane::Control), Arc::<Answers>::default());
    (0..=channel::UNDER_WAY_MAX as u64).for_each(|number| answers.request(&*link, number, ask(number)));
    let told = answers.taken();
    assert!(told.len() == 1 && is_not_sent(&told[0].1), "{told:?}");
}
