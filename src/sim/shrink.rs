//! Makes the plan of a run that failed as small as it gets.

use super::{plan::Plan, report::Report};

/// Leaves faults out of the plan of `failed`, first many at once and then one by one, as long as the run still
/// breaks the same law. `run` runs a plan; at most `runs_max` times.
pub fn shrink(failed: Report, runs_max: u32, mut run: impl FnMut(Plan) -> Report) -> Report {
    let law = failed.violation().map(|violation| violation.law);
    let mut smallest = failed;
    let mut runs = 0;
    let mut part = smallest.plan.faults.len().div_ceil(2);
    while part > 0 && runs < runs_max {
        let mut from = 0;
        let mut left_out = false;
        while from < smallest.plan.faults.len() && runs < runs_max {
            let mut plan = smallest.plan.clone();
            plan.faults.drain(from..(from + part).min(plan.faults.len()));
            let report = run(plan);
            runs += 1;
            if law.is_some() && report.violation().map(|violation| violation.law) == law {
                smallest = report;
                left_out = true;
            } else {
                from += part;
            }
        }
        if part > 1 || !left_out {
            part /= 2;
        }
    }
    smallest
}
