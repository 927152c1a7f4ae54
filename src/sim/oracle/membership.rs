//! Who belongs to the cluster, as its log says: whose disks a committed entry must be on, and when.
//!
//! An entry is committed under the membership that is in force where it is committed. From then on it is on a quorum of
//! that one or of the newest that is committed, whatever happens to those who left.

use super::{Oracle, State, Violation};
use crate::{
    actors::node::Node,
    types::{Incarnation, LogId, LogIndex, Membership, NodeId},
};

/// Nodes by number, as bits.
pub(super) type Numbers = u64;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Memberships {
    /// The newest that is committed; none before the first entry is.
    newest: Option<Membership>,
    voters: Numbers,
    members: Numbers,
    /// By index, from 1 on: the voters under whom the entry was committed.
    under: Vec<Numbers>,
    changes: u64,
}

impl Memberships {
    /// Before anything is committed, the nodes up to this number are the cluster to be.
    pub(super) fn new(founders: usize) -> Self {
        let all = (1 << founders) - 1;
        Self { voters: all, members: all, ..Self::default() }
    }

    /// Under whom an entry was committed, and who votes now.
    pub(super) fn of(&self, index: LogIndex) -> [Numbers; 2] {
        let at = usize::try_from(index.0).unwrap_or(usize::MAX);
        let under = at.checked_sub(1).and_then(|at| self.under.get(at)).copied();
        [under.unwrap_or(self.voters), self.voters]
    }
}

impl State {
    fn numbers<'a>(&self, ids: impl Iterator<Item = &'a NodeId>) -> Numbers {
        let number = |id: &NodeId| self.nodes.iter().position(|node| node.id == id.as_str());
        ids.filter_map(number).fold(0, |bits, number| bits | 1 << number)
    }

    /// The nodes of these numbers.
    pub(super) fn names(&self, numbers: Numbers) -> Vec<&str> {
        let named = self.nodes.iter().enumerate().filter(|(number, _)| numbers & (1 << number) != 0);
        named.map(|(_, node)| node.id.as_str()).collect()
    }

    /// The entry at `id` is committed on `node`, by nobody before: it is on a quorum of the voters who were in force. A look
    /// may see a membership that was appended just behind the commit, so those in force at the entry count as well.
    pub(super) fn commits_under(&mut self, id: LogId, node: &Node) -> Result<(), Violation> {
        let index = id.index;
        let log = node.log.borrow();
        let voters = |membership: &Membership| self.numbers(membership.voters().map(|server| &server.id));
        let (effective, there) = (voters(log.membership()), voters(log.membership_at(index)));
        let under = if self.is_on_quorum_of(effective, id) { effective } else { there };
        self.memberships.under.push(under);
        if !self.is_on_quorum_of(under, id) {
            return Err(self.lacks_quorum(id));
        }
        let now = log.membership_at(index);
        if self.memberships.newest.as_ref() == Some(now) || now.is_empty() {
            return Ok(());
        }
        let before = self.memberships.newest.replace(now.clone());
        self.memberships.voters = self.numbers(now.voters().map(|server| &server.id));
        self.memberships.members = self.numbers(now.servers().iter().map(|server| &server.id));
        for node in &mut self.nodes {
            let named = now.get(&NodeId::from(node.id.as_str())).map(|server| server.incarnation);
            node.out &= named.is_none() || named != Some(node.incarnation);
        }
        let Some(before) = before else { return Ok(()) };
        self.memberships.changes += 1;
        follows(&before, now)
    }
}

/// Neighbouring memberships differ by one voter at most, so that their quorums meet (thesis §4.1).
fn follows(before: &Membership, now: &Membership) -> Result<(), Violation> {
    let lives = |membership: &Membership| -> Vec<(NodeId, Incarnation)> {
        membership.voters().map(|voter| (voter.id.clone(), voter.incarnation)).collect()
    };
    let (old, new) = (lives(before), lives(now));
    let gone = old.iter().filter(|voter| !new.contains(voter)).count();
    let came = new.iter().filter(|voter| !old.contains(voter)).count();
    if gone + came <= 1 {
        return Ok(());
    }
    let what = format!("{old:?} is followed by {new:?}");
    Err(Violation::new("neighbouring memberships share their quorums", what))
}

impl Oracle {
    /// The numbers of the members, as the newest committed membership says.
    pub(crate) fn members(&self) -> Vec<usize> {
        let state = self.state();
        (0..state.nodes.len()).filter(|n| state.memberships.members & (1 << n) != 0).collect()
    }

    /// The numbers of those of them who vote.
    pub(crate) fn voters(&self) -> Vec<usize> {
        let state = self.state();
        (0..state.nodes.len()).filter(|n| state.memberships.voters & (1 << n) != 0).collect()
    }

    /// Whether a node lost its directory, and nobody has admitted it again.
    pub(crate) fn is_out(&self, node: usize) -> bool {
        self.state().nodes[node].out
    }

    /// How many memberships were committed, the first not counted.
    pub(crate) fn membership_changes(&self) -> u64 {
        self.state().memberships.changes
    }
}
