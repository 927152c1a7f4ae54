//! Seeds that once failed, each for what it showed.

use std::time::Duration;

use raftix::sim::{Plan, kv::KvWorkload, run};

fn is_clean(seed: u64) {
    let report = run(KvWorkload::default(), Plan::draw(seed, (3, 7), Duration::from_secs(120)));
    assert_eq!(report.violation(), None, "seed {seed}");
}

/// On a disk that stays full a node that votes often uses up what is kept in reserve for votes. It failed then,
/// instead of waiting for room.
#[test]
fn votes_without_room_wait() {
    is_clean(7543);
    is_clean(8706);
}

/// A node whose disk hangs learns of its election when a later leader has committed: what that did says nothing
/// about this one's log. The oracle said it did.
#[test]
fn a_leader_elected_late_need_not_hold_what_a_later_one_committed() {
    is_clean(8571);
}

/// A node was asked whether it answers while a change that removes it was under way. The run waited for it in vain.
#[test]
fn a_node_that_is_removed_while_it_is_asked_need_not_answer() {
    is_clean(53);
}
