//! Each fault of a way's conditions strikes, at its rate, and is counted.

use super::*;
use crate::types::{ForwardApply, Request};

const COUNT: u64 = 2000;

fn near(found: u64, expected: f64) -> bool {
    (found as f64 - expected).abs() < 5.0 * expected.sqrt()
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_is_told_late() {
    let pair = Pair::new(1, Conditions { loss: 0.1, ..Conditions::default() }).await;
    let mut waited = Vec::new();
    for number in 0..200 {
        let began = Instant::now();
        if is_lost(&pair.answers.ask(&*pair.link, number).await) {
            waited.push(began.elapsed());
        }
    }
    assert_eq!(waited.len() as u64, pair.count(NetworkFault::Loss));
    assert!(waited.iter().all(|waited| (ms(300)..ms(3010)).contains(waited)), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn requests_and_answers_are_lost_at_their_own_rates() {
    let pair = Pair::new(1, Conditions::default()).await;
    pair.network.set_conditions("n1:1", "n2:1", Conditions { loss: 0.1, ..Conditions::default() });
    let lost = pair.send_all(COUNT).await.iter().filter(|(_, result)| is_lost(result)).count() as u64;
    assert!(near(lost, 0.1 * COUNT as f64), "{lost}");
    assert_eq!((lost, pair.arrived().len() as u64), (pair.count(NetworkFault::Loss), COUNT - lost));

    let pair = Pair::new(1, Conditions::default()).await;
    pair.network.set_conditions("n2:1", "n1:1", Conditions { loss: 0.1, ..Conditions::default() });
    let lost = pair.send_all(COUNT).await.iter().filter(|(_, result)| is_lost(result)).count() as u64;
    assert!(near(lost, 0.1 * COUNT as f64), "{lost}");
    assert_eq!((lost, pair.arrived().len() as u64), (pair.count(NetworkFault::Loss), COUNT));
}

#[tokio::test(start_paused = true)]
async fn a_copy_is_delivered_soon_or_long_after_and_its_answer_goes_nowhere() {
    let pair = Pair::new(1, Conditions { duplication: 0.01, ..Conditions::default() }).await;
    let results = pair.send_all(COUNT).await;
    assert!(results.iter().all(|(number, result)| read(result.as_ref().unwrap()) == *number));
    let arrived = pair.arrived();
    let copies = arrived.len() as u64 - COUNT;
    assert!(near(copies, 0.01 * COUNT as f64), "{copies}");
    assert_eq!(copies, pair.count(NetworkFault::Duplication));
    let late = arrived.windows(2).filter(|pair| pair[1] + 500 < pair[0]).count();
    assert!((1..10).contains(&late), "{late} came after a second or more");
}

#[tokio::test(start_paused = true)]
async fn a_late_copy_reaches_who_lives_there_by_then() {
    let conditions = Conditions { duplication: 1.0, ..Conditions::default() };
    let mut pair = Pair::new(1, conditions).await;
    (0..40).for_each(|number| pair.send(number));
    sleep(ms(20)).await;
    pair.network.fence("n1:1");
    pair.network.fence("n2:1");
    (pair.two, pair.second) = start(&pair.network, "n2");
    sleep(ms(31_000)).await;
    let arrived = pair.second.take_arrived();
    assert!((1..=channel::PAST_MAX).contains(&arrived.len()), "{}", arrived.len());
    assert!(arrived.iter().all(|(from, _)| from.id == "n1".into()));
}

#[tokio::test(start_paused = true)]
async fn a_forwarded_command_never_comes_twice() {
    let pair = Pair::new(1, Conditions { duplication: 1.0, ..Conditions::default() }).await;
    let apply = ForwardApply { commands: vec![], timeout_ms: 1 };
    pair.answers.request(&*pair.link, 1, Request::ForwardApply(apply));
    sleep(ms(40_000)).await;
    assert_eq!((pair.arrived().len(), pair.count(NetworkFault::Duplication)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn messages_keep_their_order_unless_they_are_to_leave_it() {
    for (reordering, expected) in [(0.0, 0.0), (0.1, 0.2 * COUNT as f64)] {
        let pair = Pair::new(1, Conditions { reordering, ..Conditions::default() }).await;
        pair.send_all(COUNT).await;
        let arrived = pair.arrived();
        let overtaken = arrived.windows(2).filter(|pair| pair[1] < pair[0]).count() as u64;
        let counted = pair.count(NetworkFault::Reordering);
        assert!(near(counted, expected) || expected == 0.0 && counted == 0, "{counted} of {expected}");
        // Half of them are answers, and not each meets another.
        assert!(overtaken <= counted && overtaken >= counted / 4, "{overtaken} of {counted}");
    }
}

#[tokio::test(start_paused = true)]
async fn answers_keep_their_order_too() {
    let pair = Pair::new(1, Conditions::default()).await;
    (1..=500).for_each(|number| pair.send(number));
    sleep(ms(100)).await;
    assert!(pair.answered().iter().map(|(number, _)| *number).eq(1..=500));
}

#[tokio::test(start_paused = true)]
async fn a_spike_holds_up_what_comes_behind_it() {
    let spiky = Conditions { spike_probability: 0.01, spike: ms(200), ..Conditions::default() };
    let pair = Pair::new(1, Conditions::default()).await;
    pair.network.set_conditions("n1:1", "n2:1", spiky);
    let mut most = 0;
    for number in 1..=COUNT {
        pair.send(number);
        sleep(ms(1)).await;
        most = most.max(number - pair.second.arrived() as u64);
    }
    sleep(ms(300)).await;
    assert!((195..=205).contains(&most), "{most} behind a spike");
    assert!(pair.arrived().into_iter().eq(1..=COUNT));
    assert!(near(pair.count(NetworkFault::Spike), 0.01 * COUNT as f64));
}

#[tokio::test(start_paused = true)]
async fn a_reset_loses_all_that_is_under_way_on_its_connection() {
    let pair = Pair::new(1, Conditions { reset: 0.01, ..Conditions::default() }).await;
    let results = pair.send_all(COUNT).await;
    let lost = results.iter().filter(|(_, result)| is_lost(result)).count() as u64;
    let resets = pair.count(NetworkFault::Reset);
    assert!(near(resets, 0.02 * COUNT as f64), "{resets}");
    assert!(lost >= resets && lost < 5 * resets, "{lost} at {resets} resets");
}

#[tokio::test(start_paused = true)]
async fn a_damaged_frame_breaks_its_connection_and_is_never_delivered() {
    let pair = Pair::new(1, Conditions { corruption: 0.01, ..Conditions::default() }).await;
    let results = pair.send_all(COUNT).await;
    let lost = results.iter().filter(|(_, result)| is_lost(result)).count() as u64;
    let damaged = pair.count(NetworkFault::Corruption);
    assert!(near(damaged, 0.02 * COUNT as f64), "{damaged}");
    assert!(lost >= damaged && lost < 5 * damaged, "{lost} at {damaged} damaged frames");
    assert!(pair.arrived().iter().all(|number| (1..=COUNT).contains(number)));
}

#[tokio::test(start_paused = true)]
async fn all_faults_together_leave_each_request_with_one_answer() {
    let rough = Conditions {
        spike_probability: 0.02,
        spike: ms(100),
        loss: 0.02,
        duplication: 0.05,
        reordering: 0.05,
        corruption: 0.02,
        reset: 0.02,
        ..Conditions::default()
    };
    for seed in 0..5 {
        let pair = Pair::new(seed, rough).await;
        pair.network.set_coding(seed % 2 == 0);
        for (number, result) in pair.send_all(COUNT).await {
            assert!(is_lost(&result) || read(&result.unwrap()) == number, "seed {seed}");
        }
        let never = pair.network.counts().into_iter().filter(|(_, count)| *count == 0);
        assert!(never.map(|(fault, _)| fault).eq([
            NetworkFault::Cut,
            NetworkFault::Clog,
            NetworkFault::Overflow
        ]));
    }
}
