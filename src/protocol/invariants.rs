//! What is always true of a node's log, whoever leads: checked where the log changes, in release too.
//!
//! A broken one means a bug or a lying disk; the node stops with the reason instead of going on (Raft
//! Figure 3; hashicorp/raft lets the commit index pass the end of the log).

use std::fmt;

use thiserror::Error;

use crate::types::{LogId, LogIndex, Term};

/// Where a node's log stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    /// The node's term.
    pub term: Term,
    /// The last entry that is compacted.
    pub base: LogId,
    /// The last entry handed to the state machine.
    pub handed_off: LogIndex,
    /// The commit index.
    pub commit: LogIndex,
    /// The last index that is on the medium.
    pub durable: LogIndex,
    /// The last entry.
    pub last: LogId,
}

impl fmt::Display for Positions {
    /// `t5 base 3@2 handed off 4 commit 6 durable 7 last 9@5`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { term, base, handed_off, commit, durable, last } = self;
        write!(f, "t{term} base {base} handed off {handed_off} commit {commit} durable {durable} last {last}")
    }
}

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{rule}: {positions}")]
pub struct Broken {
    /// The invariant, in words.
    pub rule: &'static str,
    /// What breaks it.
    pub positions: String,
}

/// Checks that the positions of one moment fit one another.
///
/// # Errors
/// The first invariant that is broken.
pub fn check(now: &Positions) -> Result<(), Broken> {
    let ordered: [(bool, &'static str); 6] = [
        (now.base.index <= now.handed_off, "what is compacted has been handed off"),
        (now.handed_off <= now.commit, "only what is committed is handed off"),
        (now.commit <= now.last.index, "only what is in the log is committed"),
        (now.base.index <= now.durable, "only what is durable is compacted"),
        (now.durable <= now.last.index, "only what is in the log is durable"),
        (now.base.term <= now.last.term && now.last.term <= now.term, "terms never fall along the log"),
    ];
    hold(&ordered, || now.to_string())
}

/// Checks that nothing moved backwards that may not, from one moment to a later one without a restart between.
/// The end of the log and the durable index may: a suffix that is not committed may be truncated.
///
/// # Errors
/// The first invariant that is broken.
pub fn check_step(before: &Positions, now: &Positions) -> Result<(), Broken> {
    check(now)?;
    let monotone: [(bool, &'static str); 4] = [
        (before.term <= now.term, "the term never falls"),
        (before.base <= now.base, "the base never falls"),
        (before.handed_off <= now.handed_off, "every entry is handed off once"),
        (before.commit <= now.commit, "the commit index never falls"),
    ];
    hold(&monotone, || format!("{before} -> {now}"))
}

fn hold(rules: &[(bool, &'static str)], positions: impl Fn() -> String) -> Result<(), Broken> {
    match rules.iter().find(|rule| !rule.0) {
        Some((_, rule)) => Err(Broken { rule, positions: positions() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Positions {
        Positions {
            term: Term(5),
            base: LogId::new(Term(2), LogIndex(3)),
            handed_off: LogIndex(4),
            commit: LogIndex(6),
            durable: LogIndex(7),
            last: LogId::new(Term(5), LogIndex(9)),
        }
    }

    fn broken(change: impl Fn(&mut Positions)) -> &'static str {
        let mut positions = sound();
        change(&mut positions);
        check(&positions).unwrap_err().rule
    }

    #[test]
    fn sound_positions_pass() {
        assert_eq!(check(&sound()), Ok(()));
        assert_eq!(check(&Positions::default()), Ok(()), "a blank node");
        let unflushed = Positions { durable: LogIndex(4), ..sound() };
        assert_eq!(check(&unflushed), Ok(()), "a quorum without this node may have committed");
    }

    #[test]
    fn each_broken_order_is_named() {
        assert_eq!(broken(|p| p.handed_off = LogIndex(2)), "what is compacted has been handed off");
        assert_eq!(broken(|p| p.handed_off = LogIndex(7)), "only what is committed is handed off");
        assert_eq!(broken(|p| p.commit = LogIndex(10)), "only what is in the log is committed");
        assert_eq!(broken(|p| p.durable = LogIndex(2)), "only what is durable is compacted");
        assert_eq!(broken(|p| p.durable = LogIndex(10)), "only what is in the log is durable");
        assert_eq!(broken(|p| p.term = Term(4)), "terms never fall along the log");
        assert_eq!(broken(|p| p.base.term = Term(6)), "terms never fall along the log");
    }

    #[test]
    fn a_truncation_is_a_sound_step_and_a_step_back_is_not() {
        let mut after = Positions { durable: LogIndex(6), ..sound() };
        after.last.index = LogIndex(6);
        assert_eq!(check_step(&sound(), &after), Ok(()));
        after.commit = LogIndex(5);
        let broken = check_step(&sound(), &after).unwrap_err();
        assert_eq!(broken.rule, "the commit index never falls");
        assert_eq!(
            broken.to_string(),
            "the commit index never falls: t5 base 3@2 handed off 4 commit 6 durable 7 last 9@5 -> \
             t5 base 3@2 handed off 4 commit 5 durable 6 last 6@5"
        );
    }
}
