//! A follower that a leader of the test's sends a snapshot.

use raftix::{
    ServerRole,
    sim::vfs::Fault,
    storage::snapshot::{SnapshotDescription, SnapshotMeta, content},
    transport::RpcError,
    types::{
        AppendEntriesResponse, AppendOutcome, ClusterId, Entries, Greet, InstallOutcome, InstallSnapshot,
        InstallSnapshotResponse, LogId, LogIndex, Membership, NodeId, Request, RequestVote,
        RequestVoteResponse, Response, Term,
    },
};
use tokio::time::sleep;

use super::wanted;
use crate::support::{Puppet, Stage, entries, ms, simulate};

/// A snapshot of `commands`, which stand at index 2 and up, and its content.
pub(crate) struct Sent {
    term: u64,
    pub(super) meta: SnapshotMeta,
    pub(crate) content: Vec<u8>,
}

impl Sent {
    /// As `puppet` sends it in `term`; the commands are of term `of`.
    pub(crate) async fn new(puppet: &Puppet, term: u64, of: u64, commands: &[&str]) -> Self {
        let greet = Greet {
            from: puppet.id(),
            incarnation: puppet.incarnation(),
            peers_hash: 0,
            admits: ClusterId::NONE,
        };
        let Ok(Response::Greet(greeted)) = puppet.ask(Request::Greet(greet)).await else {
            panic!("no greeting")
        };
        let state = greeted.state.expect("it belongs to a cluster");
        let membership = state.first.expect("its first entry is there");
        Self::with(state.cluster, membership, term, of, commands)
    }

    fn with(cluster: ClusterId, membership: Membership, term: u64, of: u64, commands: &[&str]) -> Self {
        let mut bytes = Vec::new();
        content::write_header(&mut bytes, &[]).unwrap();
        let applied: Vec<(u64, u64, &str)> =
            (2..).zip(commands).map(|(at, command)| (at, of, *command)).collect();
        bytes.extend(rmp_serde::to_vec(&applied).unwrap());
        let last = LogId::new(Term(of), LogIndex(1 + commands.len() as u64));
        let description = SnapshotDescription { last, membership, membership_index: LogIndex(1), cluster };
        let (length, checksum) = (bytes.len() as u64, crc32c::crc32c(&bytes));
        Self { term, meta: SnapshotMeta { description, bytes: length, checksum }, content: bytes }
    }

    /// The piece of it between two places.
    async fn send(&self, puppet: &Puppet, from: usize, to: usize) -> InstallSnapshotResponse {
        match self.try_send(puppet, from, to).await {
            Ok(Response::InstallSnapshot(response)) => response,
            other => panic!("{other:?}"),
        }
    }

    /// The same to a node that may end meanwhile.
    async fn try_send(&self, puppet: &Puppet, from: usize, to: usize) -> Result<Response, RpcError> {
        let request = InstallSnapshot {
            term: Term(self.term),
            leader: puppet.id(),
            snapshot: self.meta.clone(),
            offset: from as u64,
            data: self.content[from..to].to_vec().into(),
        };
        puppet.ask(Request::InstallSnapshot(request)).await
    }

    pub(crate) async fn outcome(&self, puppet: &Puppet, from: usize, to: usize) -> InstallOutcome {
        self.send(puppet, from, to).await.outcome
    }

    /// All of it, until it is installed.
    pub(super) async fn install(&self, puppet: &Puppet) {
        let length = self.content.len();
        for _ in 0..20 {
            match self.outcome(puppet, 0, 0).await {
                InstallOutcome::Installed => return,
                InstallOutcome::Wanted { offset } if (offset as usize) < length => {
                    self.outcome(puppet, offset as usize, length).await;
                }
                InstallOutcome::Wanted { .. } => sleep(ms(1)).await,
                InstallOutcome::Refused => panic!("refused"),
            }
        }
        panic!("it does not end");
    }
}

pub(super) fn matched(index: u64) -> AppendOutcome {
    AppendOutcome::Matched { matched: LogIndex(index) }
}

pub(super) const LETTERS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

#[track_caller]
pub(super) fn expect(stage: &Stage, last: u64, commit: u64, applied: &[&str]) {
    let status = stage.world.status(0);
    assert_eq!(status.fatal, None);
    assert_eq!((status.last_index, status.commit_index), (LogIndex(last), LogIndex(commit)));
    assert_eq!(stage.world.recording(0).commands(), applied);
}

#[test]
fn pieces_are_taken_in_order_whatever_comes() {
    simulate(async {
        let stage = Stage::new().await;
        let sent = Sent::new(&stage.n2, 2, 2, &LETTERS).await;
        let length = sent.content.len();
        assert_eq!(sent.outcome(&stage.n2, 0, 0).await, wanted(0));
        assert_eq!(sent.outcome(&stage.n2, 10, 20).await, wanted(0), "a gap");
        assert_eq!(sent.outcome(&stage.n2, 0, 10).await, wanted(10));
        assert_eq!(sent.outcome(&stage.n2, 0, 10).await, wanted(10), "once more");
        assert_eq!(sent.outcome(&stage.n2, 10, length).await, wanted(length));
        sent.install(&stage.n2).await;
        expect(&stage, 7, 7, &LETTERS);
        assert_eq!(stage.world.status(0).snapshot_index, LogIndex(7));
        let response = stage.n2.append(2, (7, 2), entries(8, 2, &["g"]), 8).await;
        assert_eq!(response.outcome, matched(8));
        expect(&stage, 8, 8, &["a", "b", "c", "d", "e", "f", "g"]);
    });
}

#[test]
fn a_snapshot_at_or_below_the_commit_index_is_answered_as_done() {
    simulate(async {
        let stage = Stage::new().await;
        stage.n2.append(2, (1, 1), entries(2, 2, &LETTERS), 5).await;
        for commands in [&LETTERS[..2], &LETTERS[..4]] {
            let sent = Sent::new(&stage.n2, 2, 2, commands).await;
            assert_eq!(sent.outcome(&stage.n2, 0, 0).await, InstallOutcome::Installed);
            assert_eq!(sent.outcome(&stage.n2, 0, 5).await, InstallOutcome::Installed);
        }
        expect(&stage, 7, 5, &LETTERS[..4]);
        assert_eq!(stage.world.status(0).snapshot_index, LogIndex::ZERO);
    });
}

#[test]
fn regress_e15_a_snapshot_of_another_history_is_refused() {
    simulate(async {
        let stage = Stage::new().await;
        stage.n2.append(2, (1, 1), entries(2, 2, &LETTERS), 5).await;
        let sent = Sent::new(&stage.n2, 4, 3, &LETTERS[..4]).await;
        assert_eq!(sent.outcome(&stage.n2, 0, 0).await, InstallOutcome::Refused);
        expect(&stage, 7, 5, &LETTERS[..4]);
    });
}

#[test]
fn what_lies_behind_the_snapshot_stays_if_the_log_holds_its_last_entry() {
    simulate(async {
        let mut stage = Stage::with(|world| world.config.trailing_logs = 1).await;
        stage.n2.append(2, (1, 1), entries(2, 2, &LETTERS), 2).await;
        Sent::new(&stage.n2, 2, 2, &LETTERS[..4]).await.install(&stage.n2).await;
        expect(&stage, 7, 5, &LETTERS[..4]);
        stage.world.restart(0).await;
        assert_eq!(stage.world.status(0).last_index, LogIndex(7));
        let response = stage.n2.append(2, (7, 2), Entries::none(), 7).await;
        assert_eq!(response.outcome, matched(7));
        expect(&stage, 7, 7, &LETTERS);
    });
}

#[test]
fn regress_h36_a_stale_suffix_goes_with_the_rest_of_the_log() {
    simulate(async {
        let mut stage = Stage::new().await;
        stage.n2.append(2, (1, 1), entries(2, 2, &["x", "y", "z", "x", "y", "z", "x"]), 1).await;
        Sent::new(&stage.n2, 4, 3, &LETTERS[..4]).await.install(&stage.n2).await;
        expect(&stage, 5, 5, &LETTERS[..4]);
        let response = stage.n2.append(4, (5, 3), entries(6, 4, &["g"]), 6).await;
        assert_eq!(response.outcome, matched(6));
        stage.world.restart(0).await;
        assert_eq!(stage.world.status(0).last_index, LogIndex(6));
    });
}

#[test]
fn entries_are_refused_meanwhile_and_keep_the_election_quiet() {
    simulate(async {
        let stage = Stage::new().await;
        let sent = Sent::new(&stage.n2, 2, 2, &LETTERS).await;
        sent.outcome(&stage.n2, 0, 10).await;
        for _ in 0..20 {
            let AppendEntriesResponse { outcome, .. } =
                stage.n2.append(2, (1, 1), entries(2, 2, &["a"]), 1).await;
            assert_eq!(outcome, AppendOutcome::Refused);
            assert!(stage.n2.heartbeat(2).await.follows);
            sleep(ms(40)).await;
        }
        assert_eq!(stage.world.status(0).role, ServerRole::Follower);
        assert_eq!(stage.world.status(0).leader, Some("n2".into()));
        // A leader that never goes on must not have its entries refused for ever.
        for _ in 0..20 {
            stage.n2.heartbeat(2).await;
            sleep(ms(40)).await;
        }
        let response = stage.n2.append(2, (1, 1), entries(2, 2, &["a"]), 2).await;
        assert_eq!(response.outcome, matched(2));
        assert_eq!(sent.outcome(&stage.n2, 0, 0).await, wanted(0), "it would begin anew");
    });
}

#[test]
fn a_leader_of_a_later_term_begins_anew_and_the_former_is_refused() {
    simulate(async {
        let stage = Stage::new().await;
        let former = Sent::new(&stage.n2, 2, 2, &LETTERS).await;
        former.outcome(&stage.n2, 0, 10).await;
        let later = Sent::new(&stage.n3, 3, 2, &LETTERS).await;
        assert_eq!(later.outcome(&stage.n3, 0, 0).await, wanted(0));
        let response = former.send(&stage.n2, 10, 20).await;
        assert_eq!((response.term, response.outcome), (Term(3), InstallOutcome::Refused));
        later.install(&stage.n3).await;
        expect(&stage, 7, 7, &LETTERS);
    });
}

#[test]
fn one_that_is_too_large_is_refused() {
    simulate(async {
        let stage = Stage::with(|world| world.config.snapshot_bytes_max = 30).await;
        let sent = Sent::new(&stage.n2, 2, 2, &LETTERS).await;
        assert!(sent.content.len() > 30);
        assert_eq!(sent.outcome(&stage.n2, 0, 10).await, InstallOutcome::Refused);
        let response = stage.n2.append(2, (1, 1), entries(2, 2, &["a"]), 2).await;
        assert_eq!(response.outcome, matched(2), "nothing else is");
    });
}

#[test]
fn one_of_another_cluster_or_from_somebody_else_is_refused() {
    simulate(async {
        let stage = Stage::new().await;
        let mut sent = Sent::new(&stage.n2, 2, 2, &LETTERS).await;
        assert_eq!(sent.outcome(&stage.n2, 0, 0).await, wanted(0));
        let own = sent.meta.description.cluster;
        sent.meta.description.cluster = ClusterId(own.0 + 1);
        assert_eq!(sent.outcome(&stage.n2, 0, 0).await, InstallOutcome::Refused);
        sent.meta.description.cluster = ClusterId::NONE;
        assert_eq!(sent.outcome(&stage.n2, 0, 0).await, InstallOutcome::Refused);
        let request = InstallSnapshot {
            term: Term(9),
            leader: NodeId::from("n3"),
            snapshot: sent.meta.clone(),
            offset: 0,
            data: Default::default(),
        };
        let Ok(Response::InstallSnapshot(response)) = stage.n2.ask(Request::InstallSnapshot(request)).await
        else {
            panic!("no answer")
        };
        assert_eq!((response.term, response.outcome), (Term(2), InstallOutcome::Refused));
    });
}

#[test]
fn content_that_is_not_what_was_announced_is_given_up() {
    simulate(async {
        let stage = Stage::new().await;
        let mut sent = Sent::new(&stage.n2, 2, 2, &LETTERS).await;
        sent.meta.checksum ^= 1;
        let length = sent.content.len();
        sent.outcome(&stage.n2, 0, length).await;
        sleep(ms(5)).await;
        assert_eq!(sent.outcome(&stage.n2, 0, 0).await, wanted(0), "from the beginning");
        sent.meta.checksum ^= 1;
        sent.install(&stage.n2).await;
        expect(&stage, 7, 7, &LETTERS);
    });
}

#[test]
fn a_disk_without_room_for_it_harms_nothing_else() {
    simulate(async {
        let stage = Stage::new().await;
        let mut sent = Sent::new(&stage.n2, 2, 2, &LETTERS).await;
        sent.content.resize(1 << 20, 0);
        (sent.meta.bytes, sent.meta.checksum) = (1 << 20, crc32c::crc32c(&sent.content));
        let disk = stage.world.disk(0);
        disk.set_capacity(Some(disk.used() + (300 << 10)));
        let outcome = sent.outcome(&stage.n2, 0, 1 << 20).await;
        assert_eq!(outcome, InstallOutcome::Refused);
        let response = stage.n2.append(2, (1, 1), entries(2, 2, &["a"]), 2).await;
        assert_eq!(response.outcome, matched(2));
        expect(&stage, 2, 2, &["a"]);
    });
}

/// `n1` has a log of its own, some of it stale, and is sent a snapshot; its disk ends at the changing operation that
/// `at` others precede. Whether that was before the end.
async fn ends_at(at: u64, power: bool) -> bool {
    let mut stage = Stage::new().await;
    stage.n2.append(2, (1, 1), entries(2, 2, &["a", "b", "x", "y", "z", "x", "y"]), 3).await;
    let sent = Sent::new(&stage.n2, 4, 3, &LETTERS).await;
    let (n2, world) = (&stage.n2, &mut stage.world);
    world.disk(0).inject(Fault::power_off_at(at));
    let length = sent.content.len();
    for piece in [0..length / 2, length / 2..length] {
        // It answers nothing once it has ended.
        let _ = sent.try_send(n2, piece.start, piece.end).await;
    }
    sleep(ms(20)).await;
    let ended = world.disk(0).is_off();
    if power {
        world.lose_power(0, at).await;
    } else {
        world.crash(0).await;
    }
    world.start(0).await;
    let status = world.status(0);
    let old = (status.last_index, status.commit_index) == (LogIndex(8), LogIndex::ZERO);
    let new = (status.last_index, status.commit_index) == (LogIndex(7), LogIndex(7));
    assert!(old || new, "at {at}: {status:?}");
    assert!(new || ended, "what was installed is there");
    sent.install(n2).await;
    let response = n2.append(4, (7, 3), entries(8, 4, &["g"]), 8).await;
    assert_eq!(response.outcome, matched(8), "at {at}");
    expect(&stage, 8, 8, &["a", "b", "c", "d", "e", "f", "g"]);
    stage.world.check();
    ended
}

#[test]
fn whenever_the_follower_ends_it_has_the_old_state_or_the_new_one() {
    for power in [false, true] {
        let mut at = 0;
        loop {
            let mut ended = false;
            simulate(async { ended = ends_at(at, power).await });
            if !ended {
                break;
            }
            at += 1;
        }
        assert!(at > 8, "only {at} operations");
    }
}

#[test]
fn votes_are_given_while_a_snapshot_arrives() {
    simulate(async {
        let stage = Stage::new().await;
        let sent = Sent::new(&stage.n2, 2, 2, &LETTERS).await;
        sent.outcome(&stage.n2, 0, 10).await;
        let RequestVoteResponse { granted, term, .. } =
            stage.n3.request_vote(stage.n3.candidacy(5, (9, 4))).await;
        assert!(!granted, "it has heard of its leader just now");
        assert_eq!(term, Term(2));
        let candidacy = RequestVote { leadership_transfer: true, ..stage.n3.candidacy(5, (9, 4)) };
        assert!(stage.n3.request_vote(candidacy).await.granted);
        assert_eq!(sent.outcome(&stage.n2, 10, 20).await, InstallOutcome::Refused);
    });
}
