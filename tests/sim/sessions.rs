//! Clients in sessions send again what they do not know the outcome of, and the runs are worth something for it.

use std::time::Duration;

use raftix::sim::{Activity, Plan, kv::KvWorkload, run};

#[test]
fn what_is_sent_again_is_applied_once_and_mostly_answered() {
    let (mut retried, mut resolved, mut expired) = (0, 0, 0);
    for seed in 0..8 {
        let report = run(KvWorkload::default(), Plan::of_everything(seed, (3, 3), Duration::from_secs(15)));
        assert_eq!(report.violation(), None, "seed {seed}");
        retried += report.retried;
        resolved += report.activities.of(Activity::Retry);
        expired += report.sessions_expired;
    }
    assert!(resolved > 0 && expired > 0, "of {retried} {resolved} answered, {expired} met no session");
    assert!(resolved * 3 > retried, "only {resolved} of {retried} were answered");
}
