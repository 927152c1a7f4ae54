//! Elections: term, vote, role and known leader of a node, and when it stands (Raft §5.2, §5.4.1; pre-vote:
//! thesis §9.6; stickiness: §4.2.3; transfer: §3.10).
//!
//! ```text
//!            time passes          a quorum would        a quorum does
//! Follower ──────────────▶ PreCandidate ──────▶ Candidate ──────▶ Leader
//!    ▲                          │ ▲                 │                │
//!    └── a leader, a term ──────┘ └─ time passes ───┘                │
//!    └───────────────────────────────────── Deposed ─────────────────┘
//! ```
//!
//! Owns the vote record: nothing else writes term, vote or role (hashicorp/raft#695). Calls return what is
//! to happen, in order; the caller carries all of it out before the next call. Never waits: what must be
//! durable first is marked so at each call. Sends nothing, reads no clock.

mod campaign;
mod candidate;
mod patience;
mod turns;
mod vote;

#[cfg(test)]
mod tests;

use std::{fmt, ops::Range, time::Duration};

use crate::{
    known_bug::KnownBug,
    types::{Incarnation, LogId, Membership, NodeId, RequestVote, Term, Vote},
};

use campaign::Campaign;
use patience::Patience;
use turns::Turn;

/// How long to wait, and whether to ask before standing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElectionConfig {
    /// A follower waits for its leader between once and twice this long: until its turn among those that lost the same
    /// leader, or as drawn. While its leader was heard this recently it votes for nobody else.
    pub heartbeat_timeout: Duration,
    /// A candidate waits for votes between once and twice this long.
    pub election_timeout: Duration,
    /// Ask whether an election would be won before entering a new term, so that a node that was cut off
    /// does not depose a leader when it comes back.
    pub pre_vote: bool,
}

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Follows a leader, or waits for one.
    Follower,
    /// Asks whether it would be elected; still in its old term.
    PreCandidate,
    /// Stands in a new term, for which it has voted for itself.
    Candidate,
    /// Leads.
    Leader,
}

/// What the rule must know of the log and of this node's standing, as of now.
#[derive(Clone, Copy, Debug)]
pub struct LogView<'a> {
    /// The end of the log, flushed or not.
    pub last: LogId,
    /// The effective membership: whose votes count.
    pub membership: &'a Membership,
    /// The newest membership that is certain to be committed: this or the one before.
    pub settled: &'a Membership,
    /// Whether this node takes no part: it neither votes nor stands.
    pub quarantined: bool,
}

/// Why a leader gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StepDownReason {
    /// Somebody is in a higher term.
    HigherTerm,
    /// No quorum answered for a lease timeout.
    QuorumLost,
    /// The log has no room.
    DiskFull,
    /// The log does not finish its flush.
    DiskStalled,
    /// A committed membership does not count this node among the voters.
    Removed,
    /// The node stops.
    Stopping,
}

impl fmt::Display for StepDownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HigherTerm => "a higher term",
            Self::QuorumLost => "no contact with a quorum",
            Self::DiskFull => "disk full",
            Self::DiskStalled => "disk stalled",
            Self::Removed => "no longer a voter",
            Self::Stopping => "stopping",
        })
    }
}

/// What must happen now. The effects of a call come in the order in which to carry them out, `Deposed`
/// first: before anything of a new term happens, the old tenure is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// This node's leadership of `term` is over.
    Deposed {
        /// The term it led.
        term: Term,
        /// Why.
        reason: StepDownReason,
    },
    /// Write this record. Nothing of its term may be acknowledged, and no vote in it counts, before it is
    /// durable.
    SaveVote(Vote),
    /// The node is in a new term.
    TermChanged {
        /// Which.
        term: Term,
    },
    /// Another leader, this node included, or none is known.
    LeaderChanged {
        /// Who leads.
        leader: Option<NodeId>,
        /// In which term.
        term: Term,
    },
    /// Ask these voters. A request may leave before the candidate's own vote is durable.
    Ask {
        /// What.
        request: RequestVote,
        /// Whether only to ask what they would do.
        pre_vote: bool,
        /// Whom: the other voters.
        to: Vec<NodeId>,
    },
    /// This node leads.
    BecameLeader {
        /// In which term.
        term: Term,
    },
}

/// The rule. See the module.
#[derive(Clone, Debug)]
pub struct Election {
    config: ElectionConfig,
    id: NodeId,
    incarnation: Incarnation,
    /// Term and vote, as last told to be saved. The term never falls; the vote changes only from none to
    /// somebody within a term, also while its record is still being written (camunda#5356).
    vote: Vote,
    role: Role,
    /// Whom this node follows in the current term, itself if it leads.
    leader: Option<NodeId>,
    /// When the leader was last heard. Votes, granted or not, never touch it (hashicorp/raft#609).
    last_contact: Option<Duration>,
    /// To whom this node said that it elects nobody else, and until when. The leader's lease counts on it, so it stands
    /// also when this node has come to a later term meanwhile, and knows no leader.
    promise: Option<(NodeId, Duration)>,
    /// A node that starts with state may have promised that before: it elects nobody until then.
    silent_until: Duration,
    /// How long this node waits before it stands; means nothing while it leads.
    patience: Patience,
    /// Until when it does not stand, whatever happens.
    forbidden_until: Option<Duration>,
    /// The round that is open: of a `PreCandidate` or a `Candidate`, and of nobody else.
    campaign: Option<Campaign>,
    /// A damaged tail promised that the log reached here: until it does again, candidates are compared
    /// with this too, and the node does not stand, but for a unanimous round.
    withheld: Option<LogId>,
    /// How often patience ran out since a leader was last heard.
    fruitless: u32,
    /// Draws the timeouts. Seeded per node, else all stand at once (hashicorp/raft#50).
    rng: fastrand::Rng,
}

impl Election {
    /// A follower that starts `now` with the record `vote` and knows no leader. `withheld` is the log end that
    /// recovery could not restore, if any.
    pub fn new(
        config: ElectionConfig,
        id: NodeId,
        incarnation: Incarnation,
        vote: Vote,
        withheld: Option<LogId>,
        now: Duration,
        seed: u64,
    ) -> Self {
        let mut election = Self {
            config,
            id,
            incarnation,
            vote,
            role: Role::Follower,
            leader: None,
            last_contact: None,
            promise: None,
            silent_until: now,
            patience: Patience::new(now, config.heartbeat_timeout),
            forbidden_until: None,
            campaign: None,
            withheld,
            fruitless: 0,
            rng: fastrand::Rng::with_seed(seed),
        };
        if election.vote.term > Term::ZERO && !KnownBug::RestartedVoterForgetsLease.is_back() {
            election.silent_until = now.saturating_add(config.heartbeat_timeout);
        }
        election
    }

    /// The current term.
    pub fn term(&self) -> Term {
        self.vote.term
    }

    /// What this node does.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Who leads the current term, as far as is known; this node itself if it does.
    pub fn leader(&self) -> Option<&NodeId> {
        self.leader.as_ref()
    }

    /// Who got this node's vote in the current term.
    pub fn voted_for(&self) -> Option<&NodeId> {
        self.vote.voted_for.as_ref()
    }

    /// Whether this node leads.
    pub fn is_leader(&self) -> bool {
        self.role == Role::Leader
    }

    /// When a leader was last heard.
    pub fn last_contact(&self) -> Option<Duration> {
        self.last_contact
    }

    /// How long, from when a leader is heard, this node elects nobody else: what its answers promise.
    pub fn sticks_for(&self) -> Duration {
        self.config.heartbeat_timeout
    }

    /// The log end that is still missing after damage; `None` once the log is as up to date.
    pub fn withheld(&self) -> Option<LogId> {
        self.withheld
    }

    /// Waits by other times from `now` on. A shorter patience takes effect at once, a longer one when the leader
    /// is heard next.
    pub fn reconfigure(&mut self, now: Duration, config: ElectionConfig) {
        self.config = config;
        let timeout = match self.role {
            Role::Follower => config.heartbeat_timeout,
            Role::PreCandidate | Role::Candidate | Role::Leader => config.election_timeout,
        };
        self.patience.shorten(now, timeout);
    }

    /// Time passes. Once patience runs out the leader is forgotten, and the node stands if it may.
    pub fn tick(&mut self, now: Duration, view: &LogView<'_>) -> Vec<Effect> {
        self.note_log(view);
        if self.role == Role::Leader {
            return Vec::new();
        }
        if !self.has_lost_patience(now, view) {
            return self.ask_again(now, view);
        }
        self.wait(now, self.config.election_timeout);
        if self.campaign.as_ref().is_some_and(Campaign::awaits_own_vote) {
            // A second election while the first one's record is being written burns a term (openraft 558e1b94).
            return Vec::new();
        }
        self.fruitless = self.fruitless.saturating_add(1);
        let turn = self.turn(view);
        let mut effects = Vec::new();
        self.follow(None, &mut effects);
        if self.may_stand(now, view) {
            self.campaign(view, &mut effects);
            if let Some(campaign) = &mut self.campaign {
                let after = |turn: Turn| turn.again_after(self.config.heartbeat_timeout);
                campaign.again = turn.map(|turn| now.saturating_add(after(turn)));
            }
        }
        effects
    }

    /// An AppendEntries or a heartbeat of `leader` came. Returns whether it leads a term that is not over;
    /// if so this node follows it, and is patient anew.
    pub fn heard_leader(&mut self, now: Duration, term: Term, leader: &NodeId) -> (bool, Vec<Effect>) {
        if self.has_just_heard(now, term, leader) {
            return (true, Vec::new());
        }
        let usurped = term == self.term() && self.leader.as_ref().is_some_and(|known| known != leader);
        if term < self.term() || usurped || *leader == self.id {
            return (false, Vec::new());
        }
        let mut effects = Vec::new();
        self.reach_term(now, term, &mut effects);
        self.role = Role::Follower;
        self.campaign = None;
        self.fruitless = 0;
        self.last_contact = Some(now);
        self.promise(now, leader);
        self.wait(now, self.config.heartbeat_timeout);
        self.follow(Some(leader.clone()), &mut effects);
        (true, effects)
    }

    /// Whether all that follows from hearing `leader` did already: a busy one is heard often at what is one moment for
    /// a follower that looks at the clock now and then. The promise is compared too, since the settings may have
    /// changed, and the leader is told what they are.
    fn has_just_heard(&self, now: Duration, term: Term, leader: &NodeId) -> bool {
        let until = now.saturating_add(self.config.heartbeat_timeout);
        self.last_contact == Some(now)
            && self.role == Role::Follower
            && term == self.term()
            && self.leader.as_ref() == Some(leader)
            && self.promise.as_ref().is_some_and(|(to, promised)| *promised >= until && to == leader)
    }

    /// Some answer named `term`. If it is higher this node goes there, as a follower of nobody yet.
    pub fn saw_term(&mut self, now: Duration, term: Term) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.reach_term(now, term, &mut effects) {
            self.follow(None, &mut effects);
        }
        effects
    }

    /// The leader of `term` cannot go on. Keeps the term, and then waits longer than anybody else, so that
    /// a leader with a bad disk is not elected again at once (hashicorp/raft#503). Changes nothing if this
    /// node does not lead `term` any more.
    pub fn step_down(&mut self, now: Duration, term: Term, reason: StepDownReason) -> Vec<Effect> {
        if self.role != Role::Leader || term != self.term() {
            return Vec::new();
        }
        let mut effects = vec![Effect::Deposed { term, reason }];
        self.role = Role::Follower;
        self.wait(now, self.config.heartbeat_timeout.max(self.config.election_timeout) * 2);
        self.follow(None, &mut effects);
        effects
    }

    /// Does not stand before `until`, whatever happens; gives up a round that is open. For a node whose
    /// disk is full or stalled: it could not lead.
    pub fn forbid(&mut self, until: Duration) {
        self.forbidden_until = Some(until);
        if self.campaign.take().is_some() {
            self.role = Role::Follower;
        }
    }

    /// Takes back what [`forbid`](Self::forbid) said.
    pub fn allow(&mut self) {
        self.forbidden_until = None;
    }

    /// Goes to `term` if it is higher, and says so.
    fn reach_term(&mut self, now: Duration, term: Term, effects: &mut Vec<Effect>) -> bool {
        if term <= self.term() {
            return false;
        }
        self.enter_term(now, term, effects);
        if !KnownBug::TermNotSaved.is_back() {
            effects.push(Effect::SaveVote(self.vote.clone()));
        }
        effects.push(Effect::TermChanged { term });
        true
    }

    /// Goes to `term`, without a vote. What has to be told beyond `Deposed` is left to the caller.
    fn enter_term(&mut self, now: Duration, term: Term, effects: &mut Vec<Effect>) {
        assert!(term > self.term(), "term {term} after {self}");
        if self.role == Role::Leader {
            effects.push(Effect::Deposed { term: self.term(), reason: StepDownReason::HigherTerm });
        }
        if self.role != Role::Follower {
            self.wait(now, self.config.election_timeout);
        }
        self.role = Role::Follower;
        self.campaign = None;
        self.vote = Vote { term, voted_for: None };
    }

    /// Takes note of who leads.
    fn follow(&mut self, leader: Option<NodeId>, effects: &mut Vec<Effect>) {
        if self.leader != leader {
            self.leader = leader.clone();
            effects.push(Effect::LeaderChanged { leader, term: self.term() });
        }
    }

    /// A log that has grown past the damage is whole again.
    fn note_log(&mut self, view: &LogView<'_>) {
        if self.withheld.is_some_and(|withheld| view.last >= withheld) {
            self.withheld = None;
        }
    }

    /// Promises to elect nobody but `leader` for a heartbeat timeout. An earlier promise to it is not cut short.
    fn promise(&mut self, now: Duration, leader: &NodeId) {
        let until = now.saturating_add(self.config.heartbeat_timeout);
        match &mut self.promise {
            Some((to, promised)) if to == leader => *promised = until.max(*promised),
            promise => *promise = Some((leader.clone(), until)),
        }
    }

    /// Is patient anew, for once to twice `timeout`.
    fn wait(&mut self, now: Duration, timeout: Duration) {
        self.patience = Patience::new(now, timeout);
    }

    /// Whether it has waited long enough, and may elect somebody: its own vote is one, too. Who has lost a leader waits
    /// for its turn; who knows of none does not know who else does, nor who is alive, and draws.
    fn has_lost_patience(&mut self, now: Duration, view: &LogView<'_>) -> bool {
        let promised = self.promise.as_ref().is_some_and(|(_, until)| now < *until);
        if promised || now < self.silent_until {
            return false;
        }
        let mut patience = self.patience;
        let has_run_out = patience.has_run_out(now, |timeout| {
            let any = timeout..timeout.saturating_mul(2);
            let window = self.turn(view).map_or(any, |turn| turn.window(timeout));
            draw(&mut self.rng, window)
        });
        self.patience = patience;
        has_run_out
    }

    /// When it is this node's turn to stand for the leader it follows.
    fn turn(&self, view: &LogView<'_>) -> Option<Turn> {
        let leader = self.leader.as_ref()?;
        Turn::of(&self.id, leader, self.term(), view.membership)
    }
}

/// A time of `window`.
fn draw(rng: &mut fastrand::Rng, window: Range<Duration>) -> Duration {
    let nanos = u64::try_from((window.end - window.start).as_nanos()).unwrap_or(u64::MAX);
    window.start.saturating_add(Duration::from_nanos(rng.u64(0..nanos.max(1))))
}

impl fmt::Display for Election {
    /// `n1 t4 Candidate voted n1 leader -`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |id: &Option<NodeId>| id.as_ref().map_or("-", NodeId::as_str).to_owned();
        let (voted, leader) = (name(&self.vote.voted_for), name(&self.leader));
        write!(f, "{} t{} {:?} voted {voted} leader {leader}", self.id, self.term(), self.role)?;
        self.campaign.as_ref().map_or(Ok(()), |campaign| write!(f, " ({campaign})"))
    }
}
