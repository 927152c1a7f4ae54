//! Plans as numbers: what is drawn, and how often.

use std::time::Duration;

use super::{
    Plan,
    faults::{CHANGE, KINDS},
};
use crate::sim::fault::Fault;

const SPAN: Duration = Duration::from_secs(120);

#[test]
fn a_seed_means_one_plan_and_neighbours_differ() {
    let plan = |seed| format!("{:?}", Plan::draw(seed, (3, 7), SPAN));
    assert_eq!(plan(1), plan(1));
    assert_ne!(plan(1), plan(2));
}

#[test]
fn every_kind_is_enabled_in_some_seeds_and_not_in_others() {
    let plans: Vec<Plan> = (0..100).map(|seed| Plan::draw(seed, (3, 7), SPAN)).collect();
    for (kind, _) in KINDS {
        let with = plans.iter().filter(|plan| plan.kinds.contains(kind)).count();
        assert!((20..90).contains(&with), "{kind}: {with} of 100");
        assert!(
            plans.iter().flat_map(|plan| &plan.faults).any(|planned| planned.fault.kind() == *kind),
            "{kind}"
        );
    }
}

#[test]
fn the_membership_changes_in_some_seeds_and_not_in_others() {
    let plans: Vec<Plan> = (0..100).map(|seed| Plan::draw(seed, (3, 7), SPAN)).collect();
    let with = plans.iter().filter(|plan| plan.spares > 0).count();
    assert!((20..80).contains(&with), "{with} of 100");
    for plan in plans {
        let changes = plan.faults.iter().filter(|planned| planned.fault.kind() == CHANGE).count();
        assert_eq!(changes > 0, plan.spares > 0);
        assert_eq!(plan.configs.len(), plan.nodes + plan.spares);
    }
}

#[test]
fn a_majority_never_loses_its_disks() {
    for seed in 0..300 {
        let plan = Plan::draw(seed, (3, 7), SPAN);
        let loses = |fault: &Fault| matches!(fault, Fault::Wipe { .. } | Fault::Rot { .. });
        let lost = plan.faults.iter().filter(|planned| loses(&planned.fault)).count();
        assert!(lost <= (plan.nodes - 1) / 2);
        assert!((3..=7).contains(&plan.nodes));
    }
}

#[test]
fn a_plan_of_everything_has_what_its_run_is_rejected_without() {
    for seed in 0..100 {
        let plan = Plan::of_everything(seed, (3, 7), SPAN);
        assert_eq!(format!("{plan:?}"), format!("{:?}", Plan::of_everything(seed, (3, 7), SPAN)));
        assert!(plan.everything && plan.spares > 0);
        assert_eq!(plan.configs.len(), plan.nodes + plan.spares);
        assert!(plan.faults.is_sorted_by_key(|planned| planned.at));
        for kind in [CHANGE, "transfer", "remedy"] {
            let count = plan.faults.iter().filter(|planned| planned.fault.kind() == kind).count();
            assert!(count >= 2, "seed {seed}: {count} of {kind}");
        }
        assert!(plan.configs.iter().all(|config| config.snapshot_threshold < 100), "seed {seed}");
    }
}
