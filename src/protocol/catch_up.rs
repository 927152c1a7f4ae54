//! How a new server catches up with the log before it gets its vote (thesis §4.2.1).
//!
//! In rounds: each brings it what the log had when the round began. One that took less than an election timeout was the
//! last, since what came meanwhile takes no longer: the cluster will not wait for the new voter. A server that is too
//! slow for ever shorter rounds, or from which nothing comes any more, is given up.

use std::{fmt, time::Duration};

use crate::types::LogIndex;

/// How many rounds a server gets, as in the thesis.
pub const CATCH_UP_ROUNDS_MAX: u32 = 10;

/// For how many election timeouts nothing may come from it.
const SILENT_TIMEOUTS_MAX: u32 = 10;

/// One server's rounds.
#[derive(Clone, Debug)]
pub struct CatchUpRounds {
    election_timeout: Duration,
    round: u32,
    /// What the log had when the round began.
    target: LogIndex,
    began: Duration,
    matched: LogIndex,
    /// When the server last had more than before.
    moved: Duration,
}

/// How a server is getting on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatchUpState {
    /// It is on its way.
    Behind,
    /// It may vote.
    CaughtUp,
    /// It does not get there.
    GivenUp,
}

impl CatchUpRounds {
    /// The first round begins `now`, in a log that ends at `last`.
    pub fn new(election_timeout: Duration, last: LogIndex, now: Duration) -> Self {
        Self { election_timeout, round: 1, target: last, began: now, matched: LogIndex::ZERO, moved: now }
    }

    /// The server has everything up to `matched` on its medium, in a log that ends at `last`.
    pub fn reached(&mut self, matched: LogIndex, last: LogIndex, now: Duration) -> CatchUpState {
        if matched > self.matched {
            self.matched = matched;
            self.moved = now;
        }
        if self.matched < self.target {
            return self.look(now);
        }
        if now.saturating_sub(self.began) < self.election_timeout {
            return CatchUpState::CaughtUp;
        }
        if self.round >= CATCH_UP_ROUNDS_MAX {
            return CatchUpState::GivenUp;
        }
        self.round += 1;
        self.target = last;
        self.began = now;
        // The round may be over as it begins: nothing came meanwhile.
        self.reached(matched, last, now)
    }

    /// Something other than entries brings the server further, a snapshot that is on its way.
    pub fn moved(&mut self, now: Duration) {
        self.moved = self.moved.max(now);
    }

    /// Time passes.
    pub fn look(&self, now: Duration) -> CatchUpState {
        let silent = now.saturating_sub(self.moved) > self.election_timeout * SILENT_TIMEOUTS_MAX;
        if silent { CatchUpState::GivenUp } else { CatchUpState::Behind }
    }
}

impl fmt::Display for CatchUpRounds {
    /// `round 2: 40 of 55`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "round {}: {} of {}", self.round, self.matched, self.target)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(100);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn rounds() -> CatchUpRounds {
        CatchUpRounds::new(TIMEOUT, LogIndex(50), ms(0))
    }

    #[test]
    fn a_round_shorter_than_an_election_timeout_is_the_last() {
        let mut rounds = rounds();
        assert_eq!(rounds.reached(LogIndex(49), LogIndex(60), ms(98)), CatchUpState::Behind);
        assert_eq!(rounds.reached(LogIndex(50), LogIndex(60), ms(99)), CatchUpState::CaughtUp);
    }

    #[test]
    fn a_long_round_is_followed_by_one_for_what_came_meanwhile() {
        let mut rounds = rounds();
        assert_eq!(rounds.reached(LogIndex(50), LogIndex(60), ms(500)), CatchUpState::Behind);
        assert_eq!(rounds.to_string(), "round 2: 50 of 60");
        assert_eq!(rounds.reached(LogIndex(60), LogIndex(61), ms(599)), CatchUpState::CaughtUp);
    }

    #[test]
    fn a_long_round_during_which_nothing_came_is_the_last_too() {
        assert_eq!(rounds().reached(LogIndex(50), LogIndex(50), ms(500)), CatchUpState::CaughtUp);
    }

    #[test]
    fn ten_long_rounds_are_enough() {
        let mut rounds = rounds();
        for round in 1..CATCH_UP_ROUNDS_MAX {
            let at = u64::from(round);
            let state = rounds.reached(LogIndex(50 * at), LogIndex(50 * (at + 1)), ms(200 * at));
            assert_eq!(state, CatchUpState::Behind, "round {round}");
        }
        assert_eq!(rounds.reached(LogIndex(500), LogIndex(550), ms(2000)), CatchUpState::GivenUp);
    }

    #[test]
    fn who_gets_no_further_is_given_up_and_who_does_is_not() {
        let mut rounds = rounds();
        assert_eq!(rounds.reached(LogIndex(10), LogIndex(60), ms(900)), CatchUpState::Behind);
        assert_eq!(rounds.reached(LogIndex(10), LogIndex(60), ms(1900)), CatchUpState::Behind);
        assert_eq!(rounds.look(ms(1901)), CatchUpState::GivenUp);
        rounds.moved(ms(1500));
        assert_eq!(rounds.look(ms(1901)), CatchUpState::Behind);
    }

    proptest! {
        /// Whatever is reported, the end comes: a server is never neither in nor out for good.
        #[test]
        fn it_ends(steps in prop::collection::vec((1..300u64, 0..40u64, 0..40u64), 1..200)) {
            let mut rounds = rounds();
            let (mut now, mut matched, mut last, mut long) = (0, 0, 50, 0);
            for (passed, gained, added) in steps {
                now += passed;
                last += added;
                matched = (matched + gained).min(last);
                let before = rounds.round;
                let state = rounds.reached(LogIndex(matched), LogIndex(last), ms(now));
                long += rounds.round - before;
                prop_assert!(long < CATCH_UP_ROUNDS_MAX);
                if state == CatchUpState::CaughtUp {
                    prop_assert!(matched >= 50);
                }
                if state != CatchUpState::Behind {
                    break;
                }
            }
        }
    }
}
