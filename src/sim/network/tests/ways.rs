//! Ways that are cut or clogged, and connections that a test breaks.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_cut_loses_requests_one_way_and_answers_the_other() {
    for (from, to, arrives) in [("n1:1", "n2:1", 0), ("n2:1", "n1:1", 1)] {
        let pair = Pair::new(1, Conditions::default()).await;
        pair.network.cut(from, to);
        assert!(is_lost(&pair.answers.ask(&*pair.link, 1).await), "{from} to {to}");
        assert_eq!((pair.arrived().len(), pair.count(NetworkFault::Cut)), (arrives, 1));
        pair.network.mend(from, to);
        assert_eq!(pair.answers.ask(&*pair.link, 2).await, Ok(2));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_on_its_way_when_it_is_cut_is_lost() {
    let pair = Pair::new(1, Conditions::default()).await;
    pair.send(1);
    pair.network.cut("n1:1", "n2:1");
    sleep(ms(3000)).await;
    assert!(matches!(pair.answered()[..], [(1, Err(RpcError::Lost(_)))]));
    assert_eq!(pair.arrived(), [0; 0]);
}

#[tokio::test(start_paused = true)]
async fn no_connection_is_made_where_either_way_is_cut() {
    for (from, to) in [("n1:1", "n2:1"), ("n2:1", "n1:1")] {
        let pair = Pair::new(1, Conditions::default()).await;
        let other = pair.one.link(&"n2".into(), "n2:1", Lane::Control);
        pair.network.cut(from, to);
        let began = Instant::now();
        assert!(is_not_sent(&pair.answers.ask(&*other, 1).await));
        assert!(began.elapsed() >= ms(300), "an attempt to connect takes its time");
        pair.network.heal();
        assert_eq!(pair.answers.ask(&*other, 2).await, Ok(2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_clogged_way_holds_back_in_order() {
    let pair = Pair::new(1, Conditions::default()).await;
    (1..=3).for_each(|number| pair.send(number));
    pair.network.clog("n1:1", "n2:1");
    sleep(ms(5000)).await;
    (4..=6).for_each(|number| pair.send(number));
    sleep(ms(1)).await;
    assert_eq!((pair.arrived(), pair.answered()), (vec![], vec![]));
    pair.network.unclog("n1:1", "n2:1");
    sleep(ms(10)).await;
    assert_eq!(pair.arrived(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(pair.answered().len(), 6);
    assert!(pair.count(NetworkFault::Clog) >= 3);
}

#[tokio::test(start_paused = true)]
async fn answers_are_held_back_where_their_way_is_clogged() {
    let pair = Pair::new(1, Conditions::default()).await;
    pair.network.clog("n2:1", "n1:1");
    (1..=3).for_each(|number| pair.send(number));
    sleep(ms(5000)).await;
    assert_eq!((pair.arrived(), pair.answered()), (vec![1, 2, 3], vec![]));
    pair.network.heal();
    sleep(ms(1)).await;
    assert_eq!(pair.answered(), [(1, Ok(1)), (2, Ok(2)), (3, Ok(3))]);
    assert_eq!(pair.count(NetworkFault::Clog), 3);
}

#[tokio::test(start_paused = true)]
async fn a_way_clogged_again_before_anything_arrived_holds_everything_still() {
    let pair = Pair::new(1, Conditions::default()).await;
    pair.network.clog("n1:1", "n2:1");
    pair.send(1);
    sleep(ms(10)).await;
    pair.network.unclog("n1:1", "n2:1");
    pair.network.clog("n1:1", "n2:1");
    sleep(ms(10)).await;
    assert_eq!(pair.arrived(), [0; 0]);
    pair.network.unclog("n1:1", "n2:1");
    sleep(ms(10)).await;
    assert_eq!(pair.answered(), [(1, Ok(1))]);
}

#[tokio::test(start_paused = true)]
async fn a_reset_between_two_leaves_all_others_alone() {
    let pair = Pair::new(1, Conditions::default()).await;
    let (three, _) = start(&pair.network, "n3");
    let other = three.link(&"n2".into(), "n2:1", Lane::Bulk);
    pair.second.behave(Manner::Keep);
    pair.send(1);
    let others = Arc::<Answers>::default();
    others.request(&*other, 2, ask(2));
    pair.second.arrivals(2).await;
    pair.send(3);
    pair.network.reset("n2:1", "n1:1");
    sleep(ms(10)).await;
    let lost = pair.answered();
    assert!(matches!(lost[..], [(1, Err(RpcError::Lost(_))), (3, Err(RpcError::Lost(_)))]), "{lost:?}");
    assert_eq!(pair.count(NetworkFault::Reset), 1);
    drop(pair.second.kept());
    sleep(ms(10)).await;
    assert!(matches!(others.taken()[..], [(2, Err(RpcError::Dropped))]));
    assert_eq!(pair.answered(), [], "an answer that finds its connection broken goes nowhere");
    pair.second.behave(Manner::Answer);
    assert_eq!(pair.answers.ask(&*pair.link, 4).await, Ok(4));
}

#[tokio::test(start_paused = true)]
async fn a_reset_also_loses_what_is_held_back() {
    let pair = Pair::new(1, Conditions::default()).await;
    pair.network.clog("n1:1", "n2:1");
    pair.send(1);
    sleep(ms(10)).await;
    pair.network.reset("n1:1", "n2:1");
    pair.network.unclog("n1:1", "n2:1");
    sleep(ms(10)).await;
    assert!(matches!(pair.answered()[..], [(1, Err(RpcError::Lost(_)))]));
    assert_eq!(pair.arrived(), [0; 0]);
}
