//! What the cluster as a whole has promised: which entries were ever made, what is committed, who led.
//!
//! Knows nothing of nodes' roles or disks. Every rule is checked where something is added, so that a run costs
//! what happens in it, and not its square.

use std::collections::BTreeMap;

use super::Violation;
use crate::types::{LogId, LogIndex, Term};

/// An entry that some leader made: no other may ever have its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Born {
    term: Term,
    /// The term of the entry before it: the same for everybody who holds it (Log Matching, Raft §5.3).
    prev_term: Term,
    content: u64,
}

/// A committed entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Committed {
    term: Term,
    /// The term in which whoever was first to commit it was: the leader's.
    during: Term,
}

/// A command that some state machine was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AppliedCommand {
    pub(super) at: LogId,
    pub(super) operation: u64,
    pub(super) content: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// By index, from 1 on: what was ever made there.
    born: Vec<Vec<Born>>,
    /// By index, from 1 on.
    committed: Vec<Committed>,
    leaders: BTreeMap<Term, usize>,
    /// Whom a node gave its vote in a term.
    votes: BTreeMap<(Term, usize), String>,
    /// What state machines were given, by whoever was first.
    applied: Vec<AppliedCommand>,
    /// The operations of those commands.
    operations: BTreeMap<u64, LogId>,
}

impl Ledger {
    /// An entry was seen behind one of `prev_term`.
    pub(super) fn saw_entry(&mut self, id: LogId, prev_term: Term, content: u64) -> Result<(), Violation> {
        let at = usize::try_from(id.index.0).unwrap_or(usize::MAX);
        if self.born.len() < at {
            self.born.resize(at, Vec::new());
        }
        let born = Born { term: id.term, prev_term, content };
        let here = &mut self.born[at - 1];
        match here.iter().find(|known| known.term == id.term) {
            None => here.push(born),
            Some(known) if *known == born => {}
            Some(known) => {
                return Err(Violation::new(
                    "log matching",
                    format!("two entries at {id}: {known:?} and {born:?}"),
                ));
            }
        }
        Ok(())
    }

    /// Whether somebody ever made this entry.
    pub(super) fn is_known(&self, id: LogId, content: u64) -> bool {
        let here = usize::try_from(id.index.0).ok().and_then(|at| self.born.get(at.checked_sub(1)?));
        here.is_some_and(|here| here.iter().any(|born| born.term == id.term && born.content == content))
    }

    /// `node` leads `term`. Whether that is news.
    pub(super) fn leads(&mut self, term: Term, node: usize) -> Result<bool, Violation> {
        match self.leaders.insert(term, node) {
            None => Ok(true),
            Some(other) if other == node => Ok(false),
            Some(other) => {
                Err(Violation::new("election safety", format!("n{other} and n{node} both lead term {term}")))
            }
        }
    }

    /// `node` gave `candidate` its vote in `term`.
    pub(super) fn voted(&mut self, term: Term, node: usize, candidate: &str) -> Result<(), Violation> {
        let first = self.votes.entry((term, node)).or_insert_with(|| candidate.to_owned());
        if first == candidate {
            return Ok(());
        }
        let what = format!("n{node} voted for {first} and for {candidate} in term {term}");
        Err(Violation::new("one vote a term", what))
    }

    /// How many terms had a leader.
    pub(super) fn leaderships(&self) -> u64 {
        self.leaders.len() as u64
    }

    /// Everything up to here is committed somewhere.
    pub(super) fn committed(&self) -> LogIndex {
        LogIndex(self.committed.len() as u64)
    }

    fn committed_at(&self, index: LogIndex) -> Option<Committed> {
        self.committed.get(usize::try_from(index.0).ok()?.checked_sub(1)?).copied()
    }

    /// The term of a committed entry.
    pub(super) fn committed_term(&self, index: LogIndex) -> Option<Term> {
        self.committed_at(index).map(|committed| committed.term)
    }

    /// Every entry that was committed before `term`: who leads that term must have it (Raft §5.4). One who was
    /// elected and learns of it late need not have what later leaders committed.
    pub(super) fn committed_before(&self, term: Term) -> impl Iterator<Item = LogId> {
        let ids = (1..).map(LogIndex).zip(&self.committed);
        ids.filter(move |(_, entry)| entry.during < term).map(|(index, entry)| LogId::new(entry.term, index))
    }

    /// `node` holds the entry at `id` and calls it committed while it is in the term `during`. Whether it is the
    /// first to do so.
    pub(super) fn commits(&mut self, id: LogId, during: Term, node: usize) -> Result<bool, Violation> {
        if let Some(term) = self.committed_term(id.index) {
            if term == id.term {
                return Ok(false);
            }
            let what = format!("n{node} commits {id} where term {term} was committed");
            return Err(Violation::new("committed entries are immutable", what));
        }
        assert_eq!(id.index, self.committed().next(), "commits are told in order");
        self.committed.push(Committed { term: id.term, during });
        Ok(true)
    }

    /// The state machine of `node` was given its `nth` command, counted from zero.
    pub(super) fn applies(
        &mut self,
        nth: usize,
        command: AppliedCommand,
        node: usize,
    ) -> Result<(), Violation> {
        let broken = |what: String| Err(Violation::new("state machine safety", what));
        if self.committed_term(command.at.index) != Some(command.at.term) {
            return broken(format!("n{node} applies {}, which is not committed", command.at));
        }
        match self.applied.get(nth) {
            Some(first) if *first == command => Ok(()),
            Some(first) => broken(format!("command {nth} on n{node} is {command:?}, elsewhere {first:?}")),
            None if self.applied.last().is_some_and(|last| last.at.index >= command.at.index) => {
                broken(format!("n{node} applies {} behind a later one", command.at))
            }
            None => {
                self.applied.push(command);
                let AppliedCommand { at, operation, .. } = command;
                match self.operations.insert(operation, at) {
                    None => Ok(()),
                    Some(first) => {
                        let what = format!("operation {operation} is applied at {first} and at {at}");
                        Err(Violation::new("exactly once", what))
                    }
                }
            }
        }
    }

    /// Every command applied so far, in order.
    pub(super) fn applied(&self) -> &[AppliedCommand] {
        &self.applied
    }
}
