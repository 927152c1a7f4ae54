//! Handing leadership on: to whom, and when he is told to stand (thesis §3.10).
//!
//! The leader takes no more writes, waits until the other has its whole log and all of it is committed, so that no
//! writer is left in doubt, and tells him to stand at once. If he does not lead within an election timeout the leader
//! goes on. The state dies with the tenure, so that no node that is elected again finds itself still transferring
//! (hashicorp/raft#696).

use std::time::Duration;

use crate::types::{LogIndex, Membership, NodeId, TransferFailure};

/// A transfer that has begun. Followers are named by the sessions of their replicators. Times are since the leader's
/// clock began.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// The one asked for; `None` for whoever is furthest.
    named: Option<u64>,
    /// Who has been told to stand. Nobody else is then.
    told: Option<u64>,
    /// The match index of every voter, as last known.
    matches: Vec<(u64, LogIndex)>,
    until: Duration,
}

impl Transfer {
    /// Whether `own`, the leader, may hand over to `to`, or to anybody.
    ///
    /// # Errors
    /// Says why not.
    pub fn check(own: &NodeId, to: Option<&NodeId>, membership: &Membership) -> Result<(), TransferFailure> {
        let Some(to) = to else {
            let other = membership.voters().any(|voter| voter.id != *own);
            return if other { Ok(()) } else { Err(TransferFailure::NoTarget) };
        };
        match membership.get(to) {
            None => Err(TransferFailure::UnknownServer(to.clone())),
            Some(_) if to == own => Err(TransferFailure::Itself(to.clone())),
            Some(_) if !membership.is_voter(to) => Err(TransferFailure::Nonvoter(to.clone())),
            Some(_) => Ok(()),
        }
    }

    /// Begins `now`, to the voter of session `named` if there is one, and has `timeout` to succeed.
    pub fn begin(now: Duration, timeout: Duration, named: Option<u64>) -> Self {
        Self { named, told: None, matches: Vec::new(), until: now.saturating_add(timeout) }
    }

    /// How far every voter is, by now.
    pub fn know(&mut self, matches: Vec<(u64, LogIndex)>) {
        self.matches = matches;
    }

    /// Who is to be told to stand now: the one asked for, or of the voters that are lively the one that is furthest; of
    /// the others if none is. `own` is the leader's session, `last` the end of its log and `commit` its commit index.
    /// Says it once.
    ///
    /// It must hold everything, also the entry that made it a voter (openraft#1805).
    pub fn next(
        &mut self,
        own: u64,
        last: LogIndex,
        commit: LogIndex,
        is_lively: impl Fn(u64) -> bool,
    ) -> Option<u64> {
        if self.told.is_some() || commit < last {
            return None;
        }
        let asked_for = |session: u64| self.named.map_or(session != own, |named| session == named);
        let fit = self.matches.iter().filter(|(session, _)| asked_for(*session));
        let (target, matched) = fit
            .max_by_key(|(session, matched)| (is_lively(*session), *matched, std::cmp::Reverse(*session)))?;
        if *matched < last {
            return None;
        }
        self.told = Some(*target);
        self.told
    }

    /// Whether its time is over.
    pub fn is_over(&self, now: Duration) -> bool {
        now >= self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Incarnation, Server, Suffrage};

    const OWN: u64 = 0;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn members(servers: &[(&str, Suffrage)]) -> Membership {
        let server = |(id, suffrage): &(&str, Suffrage)| Server {
            id: (*id).into(),
            address: format!("{id}:1"),
            suffrage: *suffrage,
            incarnation: Incarnation(1),
        };
        Membership::new(servers.iter().map(server)).unwrap()
    }

    fn check(to: Option<&str>, membership: &Membership) -> Result<(), TransferFailure> {
        Transfer::check(&"n1".into(), to.map(NodeId::from).as_ref(), membership)
    }

    #[test]
    fn only_another_voter_may_lead_next() {
        let all = members(&[("n1", Suffrage::Voter), ("n2", Suffrage::Voter), ("n9", Suffrage::Nonvoter)]);
        assert_eq!(check(None, &all), Ok(()));
        assert_eq!(check(Some("n2"), &all), Ok(()));
        assert_eq!(check(Some("n1"), &all), Err(TransferFailure::Itself("n1".into())));
        assert_eq!(check(Some("n7"), &all), Err(TransferFailure::UnknownServer("n7".into())));
        assert_eq!(check(Some("n9"), &all), Err(TransferFailure::Nonvoter("n9".into())));
        let alone = members(&[("n1", Suffrage::Voter), ("n9", Suffrage::Nonvoter)]);
        assert_eq!(check(None, &alone), Err(TransferFailure::NoTarget));
    }

    fn transfer(named: Option<u64>, matches: &[(u64, u64)]) -> Transfer {
        let mut transfer = Transfer::begin(ms(100), ms(50), named);
        transfer.know(matches.iter().map(|(session, index)| (*session, LogIndex(*index))).collect());
        transfer
    }

    /// Who is told when the log ends at 7 and everything is committed; all are lively.
    fn told(transfer: &mut Transfer) -> Option<u64> {
        transfer.next(OWN, LogIndex(7), LogIndex(7), |_| true)
    }

    #[test]
    fn the_furthest_voter_is_told_once() {
        let mut transfer = transfer(None, &[(OWN, 7), (1, 5), (2, 7), (3, 7)]);
        assert_eq!(told(&mut transfer), Some(2));
        assert_eq!(told(&mut transfer), None);
    }

    #[test]
    fn the_one_asked_for_is_waited_for() {
        let mut transfer = transfer(Some(1), &[(OWN, 7), (1, 6), (2, 7)]);
        assert_eq!(told(&mut transfer), None);
        transfer.know(vec![(1, LogIndex(7))]);
        assert_eq!(told(&mut transfer), Some(1));
    }

    #[test]
    fn a_node_that_lives_is_waited_for_where_one_that_does_not_has_everything() {
        let mut transfer = transfer(None, &[(OWN, 7), (1, 7), (2, 6)]);
        let lives = |session| session == 2;
        assert_eq!(transfer.next(OWN, LogIndex(7), LogIndex(7), lives), None);
        transfer.know(vec![(1, LogIndex(7)), (2, LogIndex(7))]);
        assert_eq!(transfer.next(OWN, LogIndex(7), LogIndex(7), lives), Some(2));
    }

    #[test]
    fn nobody_is_told_before_everything_is_committed() {
        let mut transfer = transfer(None, &[(OWN, 7), (1, 7), (2, 6), (3, 6), (4, 6)]);
        assert_eq!(transfer.next(OWN, LogIndex(7), LogIndex(6), |_| true), None);
        assert_eq!(told(&mut transfer), Some(1));
    }

    #[test]
    fn nobody_is_told_before_anything_is_known() {
        assert_eq!(told(&mut Transfer::begin(ms(100), ms(50), None)), None);
        assert_eq!(told(&mut transfer(Some(5), &[(OWN, 7), (1, 7)])), None, "it is no voter any more");
    }

    #[test]
    fn it_ends_after_its_time() {
        let transfer = transfer(None, &[]);
        assert!(!transfer.is_over(ms(149)));
        assert!(transfer.is_over(ms(150)));
    }
}
