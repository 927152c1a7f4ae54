//! Who stands first when a leader is lost.
//!
//! All voters that followed a leader know its term, its name and each other's. So they agree without a message on the
//! order in which they stand, by a hash of term and name, and nobody stands while another's turn is being decided: the
//! first need not wait for a lucky draw, and no two split the votes. The order differs from term to term, so that a
//! node that cannot win is not the first for ever.
//!
//! ```text
//! T      margin         share          share
//! |--------|[ first )     |[ second )    |[ third ) …            2 T
//! ```
//!
//! Nothing depends on all of them being right: who follows another membership, or none, is told apart from the others
//! by the draw within its turn, as everybody is where nobody knows of a leader.

use std::{ops::Range, time::Duration};

use xxhash_rust::xxh3::xxh3_64;

use crate::types::{Membership, NodeId, Term};

/// By which part of the timeout the first turn begins later than the timeout: more than the times differ at which
/// followers heard the leader last, of which a tick is most ([`tick_interval`](crate::Config::tick_interval), a
/// twentieth). Whoever asks earlier is refused by those who still promise to the leader.
const MARGIN: u32 = 16;

/// The largest part of the timeout between one turn and the next: some round trips and ticks, in which the one whose
/// turn it is either wins or does not.
const SHARE: u32 = 4;

/// Which part of its share a turn's draw is taken from, so that a turn is over long before the next.
const DRAWN: u32 = 4;

/// After which part of its share a promise that was refused is asked for again.
const AGAIN: u32 = 2;

/// A voter's place in the order in which the voters stand that have lost one leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// How many stand earlier.
    earlier: u32,
    /// How many stand at all, this one included.
    all: u32,
}

impl Turn {
    /// The turn of `id` among the voters that `leader` of `term` has left behind; `None` if it is none of them.
    pub(super) fn of(id: &NodeId, leader: &NodeId, term: Term, membership: &Membership) -> Option<Self> {
        if id == leader || !membership.is_voter(id) {
            return None;
        }
        // Two names may have the same hash, but are not the same name.
        let place = |id: &NodeId| (hash(term, id), id.clone());
        let own = place(id);
        let (mut earlier, mut all) = (0, 0);
        for voter in membership.voters().filter(|voter| voter.id != *leader) {
            all += 1;
            earlier += u32::from(place(&voter.id) < own);
        }
        Some(Self { earlier, all })
    }

    /// How long to wait for the leader: to be drawn from here. The turns of one order do not overlap, and all lie
    /// between once and twice the `timeout`.
    pub(super) fn window(self, timeout: Duration) -> Range<Duration> {
        let share = self.share(timeout);
        let begin = timeout.saturating_add(timeout / MARGIN).saturating_add(share * self.earlier);
        begin..begin.saturating_add(share / DRAWN)
    }

    /// How long after it has asked, without an answer that decides, it asks again: before it is the next one's turn. A
    /// voter that heard the leader so much later has stopped to promise then.
    pub(super) fn again_after(self, timeout: Duration) -> Duration {
        self.share(timeout) / AGAIN
    }

    fn share(self, timeout: Duration) -> Duration {
        (timeout / SHARE).min((timeout - timeout / MARGIN) / self.all)
    }
}

fn hash(term: Term, id: &NodeId) -> u64 {
    let mut bytes = term.get().to_le_bytes().to_vec();
    bytes.extend_from_slice(id.as_str().as_bytes());
    xxh3_64(&bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::types::{Incarnation, Server, Suffrage};

    const T: Duration = Duration::from_millis(160);

    /// `voters` voters called n0, n1, … and a nonvoter.
    fn members(voters: u32) -> Membership {
        let server = |id: String, suffrage| Server {
            id: id.as_str().into(),
            address: format!("{id}:1"),
            suffrage,
            incarnation: Incarnation(1),
        };
        let voters = (0..voters).map(|number| server(format!("n{number}"), Suffrage::Voter));
        Membership::new(voters.chain([server("spare".to_owned(), Suffrage::Nonvoter)])).unwrap()
    }

    fn turn(id: &str, leader: &str, term: u64, membership: &Membership) -> Option<Turn> {
        Turn::of(&id.into(), &leader.into(), Term(term), membership)
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn of_two_followers_one_stands_soon_and_the_other_when_that_is_decided() {
        let members = members(3);
        let mut turns = ["n1", "n2"].map(|id| turn(id, "n0", 7, &members).unwrap().window(T));
        turns.sort_by_key(|turn| turn.start);
        assert_eq!(turns, [ms(170)..ms(180), ms(210)..ms(220)]);
    }

    #[test]
    fn the_only_follower_is_the_first() {
        assert_eq!(turn("n1", "n0", 7, &members(2)), Some(Turn { earlier: 0, all: 1 }));
    }

    #[test]
    fn who_leads_or_does_not_vote_has_no_turn() {
        let members = members(3);
        for id in ["n0", "spare", "stranger"] {
            assert_eq!(turn(id, "n0", 7, &members), None, "{id}");
        }
        assert_eq!(turn("n0", "n0", 7, &self::members(1)), None, "alone");
    }

    #[test]
    fn a_leader_that_is_no_voter_takes_nobodys_turn() {
        let members = members(3);
        let of = |id| turn(id, "spare", 7, &members).unwrap();
        let mut turns = ["n0", "n1", "n2"].map(of);
        turns.sort_by_key(|turn| turn.earlier);
        assert_eq!(turns, [0, 1, 2].map(|earlier| Turn { earlier, all: 3 }));
    }

    #[test]
    fn everybody_is_the_first_in_some_terms() {
        let members = members(5);
        for id in ["n1", "n2", "n3", "n4"] {
            let first = |term: &u64| turn(id, "n0", *term, &members).unwrap().earlier == 0;
            let terms = (0..400).filter(first).count();
            assert!((70..130).contains(&terms), "{id} in {terms} of 400 terms");
        }
    }

    #[test]
    fn an_absurdly_long_timeout_does_not_overflow() {
        let last = Turn { earlier: 254, all: 255 };
        assert_eq!(last.window(Duration::MAX).end, Duration::MAX);
    }

    proptest! {
        /// Whatever the membership, no two turns overlap, and all begin after a margin and end before twice the timeout.
        #[test]
        fn turns_are_apart_and_between_once_and_twice_the_timeout(
            voters in 1_u32..=254,
            leader in 0_u32..300,
            term: u64,
            timeout_us in 5_000_u64..60_000_000,
        ) {
            let members = members(voters);
            let timeout = Duration::from_micros(timeout_us);
            let leader: NodeId = format!("n{leader}").into();
            let followers = members.voters().filter(|voter| voter.id != leader);
            let of = |id| Turn::of(id, &leader, Term(term), &members).unwrap().window(timeout);
            let mut turns: Vec<_> = followers.map(|voter| of(&voter.id)).collect();
            turns.sort_by_key(|turn| turn.start);
            prop_assert!(turns.iter().all(|turn| turn.start >= timeout + timeout / 20 && turn.start < turn.end));
            prop_assert!(turns.iter().all(|turn| turn.end <= 2 * timeout));
            let any = members.voters().find(|voter| voter.id != leader);
            let any = any.and_then(|voter| Turn::of(&voter.id, &leader, Term(term), &members));
            let again = any.map_or(Duration::ZERO, |turn| turn.again_after(timeout));
            for pair in turns.windows(2) {
                prop_assert!(pair[0].end + again < pair[1].start, "{pair:?}, and again after {again:?}");
            }
        }
    }
}
