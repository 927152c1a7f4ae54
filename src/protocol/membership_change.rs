//! One change of the membership: what comes out of it, and whether the cluster would survive it (Raft §6, thesis §4).
//!
//! One server at a time, so that any majority of the old voters and any of the new share one. A new voter is a nonvoter
//! first, until it has caught up (thesis §4.2.1). What is in force already is done: every command may be repeated.
//!
//! | command | absent | nonvoter | voter |
//! |---|---|---|---|
//! | `AddVoter` | nonvoter, then voter | voter once it has caught up | the address |
//! | `AddNonvoter` | nonvoter | the address and the life | the address |
//! | `DemoteVoter` | done | done | nonvoter |
//! | `RemoveServer` | done | absent | absent |
//!
//! Go: `nextConfiguration`, which gives the vote at once.

use std::time::Duration;

use crate::types::{
    ChangeFailure, ClusterId, GreetResponse, Incarnation, LogIndex, Membership, MembershipCommand, NodeId,
    Server, Suffrage,
};

/// What a command comes to, given the membership in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextMembership {
    /// It is in force: there is nothing to do.
    InForce,
    /// This membership is to be appended; once it is committed the change is done.
    Change(Membership),
    /// This membership, in which the server does not vote yet, is to be appended; then the server catches up.
    Admit(Membership),
    /// The server is a nonvoter that has to catch up before it gets its vote.
    CatchUp,
}

/// What `command` comes to. `life` is the life in which the server answered; `None` if it was not asked, which is allowed
/// for members alone: they stay who they are. `caught_up` says whether it has the log.
///
/// # Errors
/// [`ChangeFailure::AnotherLife`] for a voter in another life of its directory; [`ChangeFailure::Unreachable`] for a
/// server that is new and was not asked; [`ChangeFailure::Invalid`] if what comes out is no membership.
pub fn next_membership(
    current: &Membership,
    command: &MembershipCommand,
    life: Option<Incarnation>,
    caught_up: bool,
) -> Result<NextMembership, ChangeFailure> {
    let present = current.get(command.id());
    let voter = present.is_some_and(|server| server.suffrage == Suffrage::Voter);
    let next = match command {
        MembershipCommand::AddVoter { address, .. } | MembershipCommand::AddNonvoter { address, .. } => {
            let life = life.or(present.map(|server| server.incarnation)).ok_or(ChangeFailure::Unreachable)?;
            // To take a voter's vote for that of another life of its directory is to remove one voter and add another
            // in one step: majorities that do not meet.
            if present.is_some_and(|server| voter && server.incarnation != life) {
                return Err(ChangeFailure::AnotherLife);
            }
            let known =
                present.is_some_and(|server| server.incarnation == life && server.address == *address);
            let wants_vote = matches!(command, MembershipCommand::AddVoter { .. });
            if known && wants_vote && !voter && !caught_up {
                return Ok(NextMembership::CatchUp);
            }
            let votes = voter || (known && wants_vote);
            let suffrage = if votes { Suffrage::Voter } else { Suffrage::Nonvoter };
            let (id, address) = (command.id().clone(), address.clone());
            let next = replaced(current, Server { id, address, suffrage, incarnation: life })?;
            if wants_vote && !votes {
                return Ok(NextMembership::Admit(next));
            }
            next
        }
        MembershipCommand::DemoteVoter { .. } => match present {
            Some(server) => replaced(current, Server { suffrage: Suffrage::Nonvoter, ..server.clone() })?,
            None => return Ok(NextMembership::InForce),
        },
        MembershipCommand::RemoveServer { id } => {
            let rest = current.servers().iter().filter(|server| server.id != *id).cloned();
            Membership::new(rest).map_err(|error| ChangeFailure::invalid(&error))?
        }
    };
    Ok(if next == *current { NextMembership::InForce } else { NextMembership::Change(next) })
}

/// `current` with `server` in place of the one of that name, or beside the others.
fn replaced(current: &Membership, server: Server) -> Result<Membership, ChangeFailure> {
    let others = current.servers().iter().filter(|other| other.id != server.id).cloned();
    let servers: Vec<Server> = others.collect();
    Membership::new(servers.into_iter().chain([server])).map_err(|error| ChangeFailure::invalid(&error))
}

/// Whether the server must be asked who it is before the change: only one that is added or moved.
pub fn must_greet(current: &Membership, command: &MembershipCommand, force: bool) -> bool {
    match (command.address(), current.get(command.id())) {
        (None, _) => false,
        (Some(_), Some(_)) => !force,
        (Some(_), None) => true,
    }
}

/// The life in which a greeted server may be added to `cluster`, as `id`.
///
/// It must wait to be added, or belong to the cluster: one that is about to form a cluster with others is none of ours.
///
/// # Errors
/// [`ChangeFailure::Foreign`] if it may not.
pub fn greeted_life(
    id: &NodeId,
    cluster: ClusterId,
    answer: &GreetResponse,
) -> Result<Incarnation, ChangeFailure> {
    let ours = match &answer.state {
        None => answer.peers_hash == 0,
        Some(state) => state.cluster == cluster,
    };
    if answer.from == *id && ours && !answer.incarnation.is_none() {
        Ok(answer.incarnation)
    } else {
        Err(ChangeFailure::Foreign)
    }
}

/// Whether a quorum of the voters of `next` was heard from within `timeout`: `heard` says when each was, at the latest.
/// Without one nothing would be committed any more, not even the way back.
pub fn has_live_quorum(
    next: &Membership,
    heard: impl Fn(&NodeId) -> Option<Duration>,
    now: Duration,
    timeout: Duration,
) -> bool {
    let lives = |id: &NodeId| heard(id).is_some_and(|at| now.saturating_sub(at) <= timeout);
    next.voters().filter(|server| lives(&server.id)).count() >= next.quorum()
}

/// Whether the membership in force at `index` is the one that the caller believed to be in force.
///
/// # Errors
/// [`ChangeFailure::ConfigurationChanged`] if it is another.
pub fn compare(prev_index: Option<LogIndex>, index: LogIndex) -> Result<(), ChangeFailure> {
    match prev_index {
        Some(prev) if prev != index => Err(ChangeFailure::ConfigurationChanged { index }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::types::ClusterState;

    const LIFE: Incarnation = Incarnation(1);

    fn server(id: &str, suffrage: Suffrage) -> Server {
        Server { id: id.into(), address: format!("{id}:1"), suffrage, incarnation: LIFE }
    }

    fn cluster(extra: Option<Suffrage>) -> Membership {
        let founders = ["a", "b"].map(|id| server(id, Suffrage::Voter));
        Membership::new(founders.into_iter().chain(extra.map(|suffrage| server("x", suffrage)))).unwrap()
    }

    fn add_voter(address: &str) -> MembershipCommand {
        MembershipCommand::AddVoter { id: "x".into(), address: address.into() }
    }

    fn add_nonvoter(address: &str) -> MembershipCommand {
        MembershipCommand::AddNonvoter { id: "x".into(), address: address.into() }
    }

    /// What becomes of server `x`.
    fn outcome(present: Option<Suffrage>, command: &MembershipCommand, caught_up: bool) -> String {
        let shown = |next: &Membership| match next.get(&"x".into()) {
            None => "absent".to_owned(),
            Some(x) => format!("{:?} at {}", x.suffrage, x.address),
        };
        match next_membership(&cluster(present), command, Some(LIFE), caught_up) {
            Ok(NextMembership::InForce) => "in force".to_owned(),
            Ok(NextMembership::CatchUp) => "catch up".to_owned(),
            Ok(NextMembership::Change(next)) => shown(&next),
            Ok(NextMembership::Admit(next)) => format!("admit {}", shown(&next)),
            Err(failure) => format!("{failure:?}"),
        }
    }

    #[test]
    fn every_command_meets_every_suffrage() {
        let (absent, nonvoter, voter) = (None, Some(Suffrage::Nonvoter), Some(Suffrage::Voter));
        let demote = MembershipCommand::DemoteVoter { id: "x".into() };
        let remove = MembershipCommand::RemoveServer { id: "x".into() };
        let table = [
            (absent, add_voter("x:1"), "admit Nonvoter at x:1"),
            (nonvoter, add_voter("x:1"), "catch up"),
            (nonvoter, add_voter("x:2"), "admit Nonvoter at x:2"),
            (voter, add_voter("x:1"), "in force"),
            (voter, add_voter("x:2"), "Voter at x:2"),
            (absent, add_nonvoter("x:1"), "Nonvoter at x:1"),
            (nonvoter, add_nonvoter("x:1"), "in force"),
            (nonvoter, add_nonvoter("x:2"), "Nonvoter at x:2"),
            (voter, add_nonvoter("x:1"), "in force"),
            (voter, add_nonvoter("x:2"), "Voter at x:2"),
            (absent, demote.clone(), "in force"),
            (nonvoter, demote.clone(), "in force"),
            (voter, demote, "Nonvoter at x:1"),
            (absent, remove.clone(), "in force"),
            (nonvoter, remove.clone(), "absent"),
            (voter, remove, "absent"),
        ];
        for (present, command, expected) in table {
            assert_eq!(outcome(present, &command, false), expected, "{present:?} {command:?}");
        }
        assert_eq!(outcome(nonvoter, &add_voter("x:1"), true), "Voter at x:1");
    }

    #[test]
    fn a_voter_keeps_its_life_and_a_nonvoter_takes_another() {
        let other = Some(Incarnation(2));
        let voter = next_membership(&cluster(Some(Suffrage::Voter)), &add_voter("x:1"), other, true);
        assert_eq!(voter, Err(ChangeFailure::AnotherLife));
        let nonvoter = next_membership(&cluster(Some(Suffrage::Nonvoter)), &add_voter("x:1"), other, true);
        let Ok(NextMembership::Admit(next)) = nonvoter else { panic!("{nonvoter:?}") };
        assert_eq!(next.get(&"x".into()).map(|x| x.incarnation), other);
    }

    #[test]
    fn who_is_new_must_have_answered() {
        let unasked = |present| next_membership(&cluster(present), &add_voter("x:2"), None, false);
        assert_eq!(unasked(None), Err(ChangeFailure::Unreachable));
        assert!(matches!(unasked(Some(Suffrage::Voter)), Ok(NextMembership::Change(_))));
        assert!(must_greet(&cluster(None), &add_voter("x:1"), true));
        assert!(must_greet(&cluster(Some(Suffrage::Voter)), &add_voter("x:2"), false));
        assert!(!must_greet(&cluster(Some(Suffrage::Voter)), &add_voter("x:2"), true));
    }

    #[test]
    fn what_is_no_membership_is_refused() {
        let taken = next_membership(&cluster(None), &add_voter("a:1"), Some(LIFE), false);
        assert!(matches!(taken, Err(ChangeFailure::Invalid(why)) if why.contains("a:1")));
        let only = Membership::new([server("x", Suffrage::Voter)]).unwrap();
        for command in [
            MembershipCommand::DemoteVoter { id: "x".into() },
            MembershipCommand::RemoveServer { id: "x".into() },
        ] {
            let last = next_membership(&only, &command, None, false);
            assert!(matches!(last, Err(ChangeFailure::Invalid(_))), "{command:?}");
        }
    }

    #[test]
    fn only_who_waits_or_belongs_here_is_added() {
        let answer = |peers_hash, cluster: Option<u128>| GreetResponse {
            from: "x".into(),
            incarnation: LIFE,
            peers_hash,
            state: cluster.map(|id| ClusterState { cluster: ClusterId(id), first: None }),
        };
        let life = |answer: &GreetResponse| greeted_life(&"x".into(), ClusterId(7), answer);
        assert_eq!(life(&answer(0, None)), Ok(LIFE));
        assert_eq!(life(&answer(5, None)), Err(ChangeFailure::Foreign));
        assert_eq!(life(&answer(5, Some(7))), Ok(LIFE));
        assert_eq!(life(&answer(0, Some(8))), Err(ChangeFailure::Foreign));
        assert_eq!(life(&GreetResponse { from: "y".into(), ..answer(0, None) }), Err(ChangeFailure::Foreign));
    }

    #[test]
    fn the_voters_to_be_are_counted_and_not_those_that_were() {
        let lives = |ids: &'static str| {
            let heard = move |id: &NodeId| ids.contains(id.as_str()).then_some(Duration::from_secs(9));
            let next = cluster(Some(Suffrage::Voter));
            has_live_quorum(&next, heard, Duration::from_secs(10), Duration::from_secs(1))
        };
        assert!(lives("ab") && lives("ax") && !lives("a"));
        let late = |_: &NodeId| Some(Duration::from_secs(9));
        let next = cluster(None);
        assert!(!has_live_quorum(&next, late, Duration::from_secs(11), Duration::from_secs(1)));
    }

    #[test]
    fn a_change_of_another_membership_than_believed_is_refused() {
        assert_eq!(compare(None, LogIndex(4)), Ok(()));
        assert_eq!(compare(Some(LogIndex(4)), LogIndex(4)), Ok(()));
        let index = LogIndex(4);
        assert_eq!(compare(Some(LogIndex(3)), index), Err(ChangeFailure::ConfigurationChanged { index }));
    }

    fn commands() -> impl Strategy<Value = MembershipCommand> {
        let id = || prop::sample::select(vec!["a", "b", "c", "d", "e"]);
        let address = || prop::sample::select(vec!["a:1", "b:1", "c:1", "d:1", "e:1", "f:1"]);
        prop_oneof![
            (id(), address())
                .prop_map(|(id, at)| MembershipCommand::AddVoter { id: id.into(), address: at.into() }),
            (id(), address())
                .prop_map(|(id, at)| MembershipCommand::AddNonvoter { id: id.into(), address: at.into() }),
            id().prop_map(|id| MembershipCommand::DemoteVoter { id: id.into() }),
            id().prop_map(|id| MembershipCommand::RemoveServer { id: id.into() }),
        ]
    }

    fn voters(membership: &Membership) -> Vec<(NodeId, Incarnation)> {
        membership.voters().map(|server| (server.id.clone(), server.incarnation)).collect()
    }

    proptest! {
        /// The law on which single-server changes rest: any two quorums of neighbouring memberships share a voter, and
        /// with it a life of a directory (thesis §4.1).
        #[test]
        fn neighbouring_memberships_differ_by_one_voter(
            steps in prop::collection::vec((commands(), 1..3u128, any::<bool>()), 1..40)
        ) {
            let mut current = cluster(None);
            for (command, life, caught_up) in steps {
                let next = next_membership(&current, &command, Some(Incarnation(life)), caught_up);
                let Ok(NextMembership::Change(next) | NextMembership::Admit(next)) = next else { continue };
                let (before, after) = (voters(&current), voters(&next));
                let gone = before.iter().filter(|voter| !after.contains(voter)).count();
                let new = after.iter().filter(|voter| !before.contains(voter)).count();
                prop_assert!(gone + new <= 1, "{command:?} takes {before:?} to {after:?}");
                current = next;
            }
        }
    }
}
