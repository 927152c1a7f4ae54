//! Restores under faults take effect at one place of the log or nowhere, and the runs are worth something for it.

use raftix::sim::{kv::KvWorkload, run};

use crate::short;

#[test]
fn what_is_restored_while_faults_strike_takes_effect_in_one_place_or_nowhere() {
    let mut restored = 0;
    // Those in which somebody restores something.
    for seed in (0..24).step_by(4) {
        let report = run(KvWorkload::default(), short(seed));
        assert_eq!(report.violation(), None, "seed {seed}");
        restored += report.faults["state restored"];
    }
    assert!(restored > 0, "none took effect");
}
