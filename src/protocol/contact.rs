//! When the leader last had a majority behind it: for check-quorum and for the lease (thesis §6.2, §6.4.1).
//!
//! Counts voters only (hashicorp/raft#308), and of each the time at which the newest answered request was
//! *sent*: when the answer came says nothing about when the follower still followed. The caller passes
//! on only successes of the leader's own term (hashicorp/raft renews on rejections and lost requests).

use std::time::Duration;

/// Sending times of the newest answered requests, for one tenure. Times are since the node's clock began.
#[derive(Clone, Debug)]
pub struct QuorumContact {
    /// The leader's own session: always in contact with itself, if it votes.
    own: u64,
    /// When leadership or the newest membership began: until a timeout later nobody had to answer.
    since: Duration,
    voters: Vec<Voter>,
}

/// What is known of one voter.
#[derive(Clone, Copy, Debug)]
struct Voter {
    session: u64,
    /// When the newest request that it answered was sent; `None` if it never answered.
    heard: Option<Duration>,
    /// Until when it elects nobody else, by the leader's clock; zero if it never said so.
    promised: Duration,
}

impl Voter {
    fn new(session: u64) -> Self {
        Self { session, heard: None, promised: Duration::ZERO }
    }
}

impl QuorumContact {
    /// A leader elected `now`, called `own` among the `voters`. Nobody has answered.
    pub fn new(voters: impl Iterator<Item = u64>, own: u64, now: Duration) -> Self {
        Self { own, since: now, voters: voters.map(Voter::new).collect() }
    }

    /// Says who votes from `now` on. Sessions that stay keep what was heard of them.
    pub fn set_voters(&mut self, voters: impl Iterator<Item = u64>, now: Duration) {
        let old = std::mem::take(&mut self.voters);
        let known = |session| old.iter().find(|voter| voter.session == session).copied();
        self.voters = voters.map(|session| known(session).unwrap_or(Voter::new(session))).collect();
        self.since = self.since.max(now);
    }

    /// The voter of `session` followed when it answered what was sent at `sent_at`. Late answers change
    /// nothing.
    pub fn heard(&mut self, session: u64, sent_at: Duration) {
        if let Some(voter) = self.voter(session) {
            voter.heard = voter.heard.max(Some(sent_at));
        }
    }

    /// The voter of `session` elects nobody else before `until`, a time of the leader's own clock (see
    /// [`Lease`](super::Lease)). Late promises change nothing.
    pub fn promised(&mut self, session: u64, until: Duration) {
        if let Some(voter) = self.voter(session) {
            voter.promised = voter.promised.max(until);
        }
    }

    /// When the newest request was sent that the voter of `session` answered.
    pub fn heard_at(&self, session: u64) -> Option<Duration> {
        self.voters.iter().find(|voter| voter.session == session).and_then(|voter| voter.heard)
    }

    fn voter(&mut self, session: u64) -> Option<&mut Voter> {
        self.voters.iter_mut().find(|voter| voter.session == session)
    }

    /// The newest time such that a majority of the voters answered something sent then or later.
    /// [`Duration::MAX`] if the leader is a majority by itself; zero if no majority ever answered.
    pub fn quorum_since(&self) -> Duration {
        self.quorum_time(|voter| voter.heard.unwrap_or_default())
    }

    /// Until when a majority of the voters elects nobody else, so that nobody else can be elected.
    /// [`Duration::MAX`] if the leader is a majority by itself; zero if no majority ever promised anything.
    pub fn quorum_until(&self) -> Duration {
        self.quorum_time(|voter| voter.promised)
    }

    /// The latest time that a majority has reached, the leader itself being at the end of all times.
    fn quorum_time(&self, time: impl Fn(&Voter) -> Duration) -> Duration {
        let of = |voter: &Voter| if voter.session == self.own { Duration::MAX } else { time(voter) };
        let mut times: Vec<Duration> = self.voters.iter().map(of).collect();
        if times.is_empty() {
            return Duration::ZERO;
        }
        let lower_middle = (times.len() - 1) / 2;
        *times.select_nth_unstable(lower_middle).1
    }

    /// Whether the leader has been without a majority for `timeout` and must give up. A new leader, and
    /// a new membership, get one `timeout` to be answered.
    pub fn expired(&self, now: Duration, timeout: Duration) -> bool {
        now.saturating_sub(self.quorum_since().max(self.since)) > timeout
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(100);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn contact(voters: u64, now: u64) -> QuorumContact {
        QuorumContact::new(0..voters, 0, ms(now))
    }

    #[test]
    fn a_new_leader_has_one_timeout() {
        let contact = contact(3, 50);
        assert!(!contact.expired(ms(150), TIMEOUT));
        assert!(contact.expired(ms(151), TIMEOUT));
        assert_eq!(contact.quorum_since(), Duration::ZERO, "an election alone gives no lease");
    }

    #[test]
    fn a_majority_with_the_leader_keeps_it() {
        let mut five = contact(5, 0);
        five.heard(1, ms(500));
        assert!(five.expired(ms(550), TIMEOUT), "two of five");
        five.heard(2, ms(480));
        assert_eq!(five.quorum_since(), ms(480));
        assert!(!five.expired(ms(580), TIMEOUT));
        assert!(five.expired(ms(581), TIMEOUT));
    }

    #[test]
    fn half_of_an_even_number_is_no_majority() {
        let mut four = contact(4, 0);
        four.heard(1, ms(500));
        assert_eq!(four.quorum_since(), Duration::ZERO);
    }

    #[test]
    fn late_answers_and_those_of_nonvoters_change_nothing() {
        let mut three = contact(3, 0);
        three.heard(1, ms(500));
        three.heard(1, ms(400));
        three.heard(9, ms(900));
        assert_eq!(three.quorum_since(), ms(500));
    }

    #[test]
    fn a_majority_of_promises_with_the_leaders_own_makes_a_lease() {
        let mut five = contact(5, 0);
        five.promised(1, ms(500));
        assert_eq!(five.quorum_until(), Duration::ZERO, "two of five");
        five.promised(2, ms(480));
        five.promised(2, ms(470));
        five.promised(9, ms(900));
        assert_eq!(five.quorum_until(), ms(480));
        assert_eq!(contact(1, 0).quorum_until(), Duration::MAX);
        five.set_voters([0, 2, 3].into_iter(), ms(490));
        assert_eq!(five.quorum_until(), ms(480), "of those that vote now");
        five.set_voters([0, 3, 4].into_iter(), ms(490));
        assert_eq!(five.quorum_until(), Duration::ZERO);
    }

    #[test]
    fn a_single_voter_is_always_in_contact() {
        assert!(!contact(1, 0).expired(Duration::MAX, TIMEOUT));
    }

    #[test]
    fn a_leader_that_does_not_vote_needs_a_majority_of_the_others() {
        let mut contact = QuorumContact::new([1, 2, 3].into_iter(), 0, ms(0));
        contact.heard(0, ms(500));
        contact.heard(1, ms(500));
        assert_eq!(contact.quorum_since(), Duration::ZERO);
        contact.heard(2, ms(400));
        assert_eq!(contact.quorum_since(), ms(400));
    }

    #[test]
    fn an_added_voter_has_one_timeout_but_gives_no_lease() {
        let mut contact = contact(1, 0);
        contact.set_voters([0, 1].into_iter(), ms(700));
        assert_eq!(contact.quorum_since(), Duration::ZERO);
        assert!(!contact.expired(ms(800), TIMEOUT));
        assert!(contact.expired(ms(801), TIMEOUT));
        contact.heard(1, ms(750));
        contact.set_voters([0, 1, 2].into_iter(), ms(760));
        assert_eq!(contact.quorum_since(), ms(750), "what stays is still known");
    }
}
