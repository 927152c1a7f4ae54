//! Plans that are made for something: what a seed hardly ever draws.

use std::time::Duration;

use super::{DRIFT_PPM_MAX, Plan};
use crate::{
    clock::ClockSkew,
    config::Config,
    sim::{
        fault::{Fault, Planned, Target},
        pace::ThreadTimes,
    },
};

/// What makes a lease worthless, if nothing is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseThreat {
    /// The leader's clock is the slow one.
    WrongClocks,
    /// Another node is told to stand at once, and the leader hears nothing of what follows.
    Transfer,
    /// The voter that has promised something is restarted.
    Restart,
}

impl Plan {
    /// A plan for one of the things that leases stand and fall with. The first of three nodes has a clock as slow as may
    /// be and the others ones as fast; it gets the leadership again and again, is cut off from the others, and
    /// clients ask when another may have been elected.
    pub fn of_leases(seed: u64, span: Duration, threat: LeaseThreat) -> Self {
        let mut plan = Self::draw(seed, (3, 3), span);
        let mut rng = fastrand::Rng::with_seed(seed);
        let skew = |drift_ppm| ClockSkew { ahead: Duration::ZERO, drift_ppm };
        plan.skews = vec![skew(-100_000), skew(100_000), skew(100_000)];
        // A leader that gave up for want of a quorum before its lease ends would show nothing.
        let config = Config::default();
        let patient = Config {
            lease_clock_drift_ppm: DRIFT_PPM_MAX,
            leader_lease_timeout: config.heartbeat_timeout,
            ..config
        };
        plan.configs = vec![patient; 3];
        plan.hasty = None;
        plan.spares = 0;
        plan.threads = ThreadTimes {
            flush_us: (50, 500),
            apply_us: (1, 100),
            persist_us: (10, 500),
            completion_us: (0, 10),
        };
        (plan.clients, plan.think_ms) = (60, 300);
        plan.kinds.clear();
        plan.faults.clear();
        let ms = Duration::from_millis;
        let mut at = Duration::from_secs(3);
        while at + Duration::from_secs(6) < span {
            let mut fault = |after, fault| plan.faults.push(Planned { at: at + ms(after), fault });
            fault(0, Fault::Transfer { to: Some(0) });
            match threat {
                LeaseThreat::WrongClocks => {
                    fault(790, Fault::Quiet { span: ms(890) });
                    fault(800, Fault::Partition { group: 0b001, span: ms(2_000) });
                }
                LeaseThreat::Transfer => {
                    fault(800, Fault::Transfer { to: Some(1) });
                    let deaf = 800 + rng.u64(..8);
                    for from in [1, 2] {
                        fault(deaf, Fault::Clog { from: Target::Node(from), to: 0, span: ms(1_500) });
                    }
                }
                LeaseThreat::Restart => {
                    // The second node asks for votes as soon as it hears anybody, and its log is no shorter.
                    let asks = 2_400 + rng.u64(..500);
                    fault(400, Fault::Quiet { span: ms(asks - 400) });
                    fault(600, Fault::Partition { group: 0b010, span: ms(asks - 600) });
                    fault(asks, Fault::Partition { group: 0b001, span: ms(2_000) });
                    let (target, patience, down) = (Target::Node(2), Duration::ZERO, Duration::ZERO);
                    fault(asks, Fault::Kill { target, patience, down });
                }
            }
            at += ms(5_500 + rng.u64(..500));
        }
        plan.faults.sort_by_key(|planned| planned.at);
        plan
    }

    /// A plan for two leaders in a row that change the membership that both began with. The first of four nodes is cut off
    /// with a change that nobody else gets; the next leader is asked for another while the last node, whose disk is
    /// full, votes and takes nothing, so that the leader's term is not committed; then the first and the last are
    /// apart with each other.
    pub fn of_memberships(seed: u64, span: Duration) -> Self {
        let mut plan = Self::draw(seed, (4, 4), span);
        let mut rng = fastrand::Rng::with_seed(seed);
        plan.spares = 1;
        plan.skews = vec![ClockSkew::NONE; 5];
        plan.configs = vec![Config { shutdown_on_remove: false, ..Config::default() }; 5];
        plan.hasty = None;
        plan.kinds.clear();
        plan.faults.clear();
        let ms = Duration::from_millis;
        let mut fault = |after, fault| plan.faults.push(Planned { at: ms(after), fault });
        let elected = 7_500 + rng.u64(..2_000);
        let split = elected + 200 + rng.u64(..600);
        fault(3_000, Fault::Transfer { to: Some(0) });
        fault(4_500, Fault::DiskFull { target: Target::Node(3), span: ms(split - 4_500) });
        fault(5_000, Fault::Partition { group: 0b0_0001, span: ms(split - 5_000) });
        fault(5_010, Fault::RemoveServer { asked: 0, server: 1 });
        fault(elected, Fault::RemoveServer { asked: 1, server: 0 });
        let (target, patience, down) = (Target::Node(3), Duration::ZERO, ms(100));
        fault(split, Fault::Kill { target, patience, down });
        fault(split, Fault::Partition { group: 0b0_1001, span: ms(8_000) });
        plan
    }
}
