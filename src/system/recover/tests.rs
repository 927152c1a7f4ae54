//! Recoveries from directories on a simulated disk, written without a node.

use std::{
    io::{Read, Write},
    path::Path,
};

use actix::Message;
use serde::{Deserialize, Serialize};

use super::*;
use crate::{
    RaftSystem,
    sim::vfs::{Effect, Fault, Operation, SimVfs},
    state_machine::{Answer, Reply},
    storage::{StorageError, VoteStore},
    types::{EntryBuffer, EntryKind, LogIndex, Term, Vote},
};

/// Adds a word.
#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "()")]
struct Say(String);

/// Every word in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Words(String);

impl StateMachine for Words {
    type Command = Say;
    type Query = Say;

    fn apply(&mut self, _: LogId, Say(word): Say) -> Reply<Self> {
        self.0 += &word;
    }

    fn query(&self, _: Say) -> Answer<Self> {}

    fn snapshot(&self) -> Option<Box<dyn StateSnapshot>> {
        Some(Box::new(self.clone()))
    }

    fn restore(&mut self, reader: &mut dyn Read) -> std::io::Result<()> {
        self.0.clear();
        reader.read_to_string(&mut self.0).map(drop)
    }
}

impl StateSnapshot for Words {
    fn persist(self: Box<Self>, writer: &mut dyn Write) -> std::io::Result<()> {
        writer.write_all(self.0.as_bytes())
    }
}

/// Has no snapshots.
struct Deaf;

impl StateMachine for Deaf {
    type Command = Say;
    type Query = Say;

    fn apply(&mut self, _: LogId, _: Say) -> Reply<Self> {}

    fn query(&self, _: Say) -> Answer<Self> {}
}

const SEGMENT: u64 = 8192;
const OLD: [&str; 3] = ["n1", "n2", "n3"];

fn membership(names: &[&str]) -> Membership {
    Membership::new(names.iter().zip(1..).map(|(name, at)| Server {
        id: (*name).into(),
        address: format!("{name}:1"),
        suffrage: Suffrage::Voter,
        incarnation: Incarnation(at),
    }))
    .unwrap()
}

fn node(disk: &SimVfs) -> RaftBuilder<Words> {
    RaftSystem::builder("n1")
        .data_dir("n1")
        .vfs(Arc::new(disk.clone()))
        .segment_bytes(SEGMENT)
        .state_machine(Words::default())
}

fn alone() -> [RecoveredServer; 1] {
    [RecoveredServer::voter("n1", "n1:9")]
}

fn directory(disk: &SimVfs) -> Result<DataDir, StorageError> {
    DataDir::open_with(Arc::new(disk.clone()), Path::new("n1"), &"n1".into(), || Ok(Incarnation(1)))
}

fn batch(first: u64, term: u64, kind: EntryKind, data: &[u8]) -> crate::types::EntryBatch {
    let mut buffer = EntryBuffer::default();
    buffer.push(kind, data);
    buffer.seal(LogIndex(first), Term(term))
}

/// A member's directory: the first membership, words over several segments, the last of them flushed and never
/// acknowledged to anybody.
fn survivor() -> SimVfs {
    let disk = SimVfs::new();
    let mut dir = directory(&disk).unwrap();
    let options = WalOptions { segment_bytes: SEGMENT, background: false, ..dir.wal_options(GroupId::ZERO) };
    let mut wal = Wal::open(Arc::new(disk.clone()), &dir.wal_dir(), options);
    wal.recover().unwrap();
    let first = membership(&OLD).encode();
    wal.append(&batch(1, 1, EntryKind::Configuration, &first)).unwrap();
    let cluster = ClusterId::of(&first);
    dir.set_cluster(cluster).unwrap();
    wal.set_cluster(cluster).unwrap();
    dir.mark_member().unwrap();
    for index in 2..40 {
        let say = Say(format!("{index} ") + &"x".repeat(700));
        wal.append(&batch(index, 2, EntryKind::Command, &rmp_serde::to_vec(&say).unwrap())).unwrap();
        wal.flush().unwrap();
    }
    wal.append(&batch(40, 3, EntryKind::Noop, b"")).unwrap();
    wal.save_vote(&Vote { term: Term(5), voted_for: Some("n2".into()) }).unwrap();
    wal.flush().unwrap();
    drop((wal, dir));
    disk.kill();
    disk
}

/// What a node would start with: the log, and the words of the newest snapshot and the log behind it.
fn look(disk: &SimVfs) -> Result<(Recovered, Identity, String), StorageError> {
    let dir = directory(disk)?;
    let options = WalOptions { segment_bytes: SEGMENT, background: false, ..dir.wal_options(GroupId::ZERO) };
    let mut wal = Wal::open(Arc::new(disk.clone()), &dir.wal_dir(), options);
    let recovered = wal.recover()?;
    let files = FileSnapshotStore::new(Arc::new(disk.clone()), &dir.snapshots_dir());
    let opened = Opened::of_log(Box::new(wal), recovered, dir.identity());
    let mut opened = find_snapshot(opened, Some(Box::new(files)))?;
    let mut step = FsmStep::new(Words::default(), StagingArea::Memory);
    replay(&mut opened, &mut step).unwrap();
    Ok((opened.recovered, dir.identity().clone(), step.into_machine().0))
}

fn words() -> String {
    (2..40).map(|index| format!("{index} ") + &"x".repeat(700)).collect()
}

/// Checks that it is the recovered cluster's, with everything in it.
fn is_recovered(disk: &SimVfs, what: &str) {
    let (recovered, identity, found) = look(disk).unwrap_or_else(|error| panic!("{what}: {error}"));
    let last = LogId::new(Term(3), LogIndex(40));
    assert_eq!((recovered.base.last, recovered.last, found), (last, last, words()), "{what}");
    assert_eq!(
        recovered.vote,
        Vote { term: Term(5), voted_for: Some("n2".into()) },
        "{what}: no vote is forgotten"
    );
    let server = Server {
        id: "n1".into(),
        address: "n1:9".into(),
        suffrage: Suffrage::Voter,
        incarnation: Incarnation(1),
    };
    let membership = Membership::new([server]).unwrap();
    assert_eq!(recovered.base.membership, membership, "{what}");
    assert!(recovered.memberships.is_empty(), "{what}: the old membership is gone");
    assert_eq!(identity.cluster, ClusterId::of(&membership.encode()), "{what}: it is a cluster of its own");
    assert!(identity.member, "{what}");
}

#[test]
fn all_that_the_survivor_holds_is_the_state_of_a_cluster_of_its_own() {
    let disk = survivor();
    let before = look(&disk.fork()).unwrap();
    assert_eq!((before.0.last.index, before.2), (LogIndex(40), words()));
    let recovery = recover_cluster(node(&disk), alone()).unwrap();
    assert_eq!(recovery.last, LogId::new(Term(3), LogIndex(40)));
    assert_eq!(recovery.membership.servers().len(), 1);
    assert_ne!(recovery.cluster, before.1.cluster);
    assert_eq!(recovery.repairs, [""; 0]);
    disk.power_loss(1);
    is_recovered(&disk, "after a loss of power");
}

#[test]
fn power_lost_at_every_operation_leaves_the_old_state_or_one_that_only_a_recovery_goes_on_from() {
    let whole = survivor();
    let before = whole.operations();
    recover_cluster(node(&whole), alone()).unwrap();
    let (operations, mut seen) = (whole.operations() - before, [0; 3]);
    for at in 0..operations {
        for seed in 0..4 {
            let disk = survivor();
            disk.inject(Fault::power_off_at(at));
            let what = format!("at {at}, seed {seed}");
            let done = recover_cluster(node(&disk), alone()).is_ok();
            disk.power_loss(at * 8 + seed);
            let found = look(&disk.fork());
            match found {
                Ok((recovered, ..)) if recovered.base.last == LogId::ZERO => {
                    assert_eq!(
                        (recovered.last.index, done),
                        (LogIndex(40), false),
                        "{what}: nothing happened"
                    );
                    assert_eq!(disk.files().iter().filter(|file| file.ends_with("RECOVERY")).count(), 0);
                    seen[0] += 1;
                }
                Ok(_) => {
                    is_recovered(&disk, &what);
                    seen[1] += 1;
                }
                Err(StorageError::Corrupt { file, .. }) if file.ends_with("RECOVERY") && !done => {
                    seen[2] += 1
                }
                Err(error) => panic!("{what}: {error}"),
            }
            disk.kill();
            recover_cluster(node(&disk), alone()).unwrap_or_else(|error| panic!("{what}: {error}"));
            disk.power_loss(seed);
            is_recovered(&disk, &what);
        }
    }
    assert!(seen[0] > 10 && seen[1] > 0 && seen[2] > 10, "{seen:?}");
}

#[test]
fn a_recovered_directory_can_be_recovered_again_from_its_snapshot_and_what_came_behind() {
    let disk = survivor();
    recover_cluster(node(&disk), alone()).unwrap();
    disk.kill();
    let dir = directory(&disk).unwrap();
    let options = WalOptions { segment_bytes: SEGMENT, background: false, ..dir.wal_options(GroupId::ZERO) };
    let mut wal = Wal::open(Arc::new(disk.clone()), &dir.wal_dir(), options);
    wal.recover().unwrap();
    let say = rmp_serde::to_vec(&Say("end".into())).unwrap();
    wal.append(&batch(41, 6, EntryKind::Command, &say)).unwrap();
    wal.flush().unwrap();
    drop((wal, dir));
    let recovery = recover_cluster(node(&disk), alone()).unwrap();
    assert_eq!(recovery.last, LogId::new(Term(6), LogIndex(41)));
    assert_eq!(look(&disk).unwrap().2, words() + "end");
}

#[test]
fn what_a_damaged_tail_had_promised_is_told_and_not_recovered() {
    let disk = survivor();
    let is_in_use = |file: &PathBuf| disk.content(file).iter().skip(4096).any(|byte| *byte != 0);
    let newest = disk.files().into_iter().rfind(is_in_use).unwrap();
    // The last flush is short: it begins with the sector that its last byte lies in.
    let end = disk.content(&newest).iter().rposition(|byte| *byte != 0).unwrap();
    disk.flip(&newest, (end / 512 * 512 + 20) as u64, 1);
    let recovery = recover_cluster(node(&disk), alone()).unwrap();
    assert_eq!(recovery.last, LogId::new(Term(2), LogIndex(39)));
    assert!(recovery.repairs.iter().any(|repair| repair.contains("40@3")), "{:?}", recovery.repairs);
    assert_eq!(look(&disk).unwrap().2, words());
}

#[test]
fn survivors_are_known_with_the_lives_of_their_directories() {
    let disk = survivor();
    let second = RecoveredServer { suffrage: Suffrage::Nonvoter, ..RecoveredServer::voter("n2", "b:7") };
    let [own] = alone();
    let recovery = recover_cluster(node(&disk), [second, own]).unwrap();
    let found: Vec<_> = recovery.membership.servers().iter().map(|s| (s.incarnation.0, s.suffrage)).collect();
    assert_eq!(found, [(1, Suffrage::Voter), (2, Suffrage::Nonvoter)]);
    assert_eq!(recovery.membership.servers()[1].address, "b:7");
    // As an old list names them: by address.
    let disk = survivor();
    let listed = [RecoveredServer::voter("n1:1", "n1:1"), RecoveredServer::voter("n3:1", "n3:1")];
    let recovery = recover_cluster(node(&disk), listed).unwrap();
    assert_eq!(recovery.membership, {
        let [first, _, third] = membership(&OLD).servers().to_vec().try_into().unwrap();
        Membership::new([first, third]).unwrap()
    });
}

/// Every file and what it holds.
fn image(disk: &SimVfs) -> Vec<(PathBuf, Vec<u8>)> {
    let unlocked = disk.files().into_iter().filter(|file| !file.ends_with("LOCK"));
    unlocked.map(|file| (file.clone(), disk.content(&file))).collect()
}

#[test]
fn what_cannot_be_recovered_is_refused_and_left_as_it_is() {
    let disk = survivor();
    let servers = |names: &[&str]| {
        let server = |name: &&str| RecoveredServer::voter(*name, format!("{name}:1"));
        names.iter().map(server).collect::<Vec<_>>()
    };
    let refused = |builder, names| recover_cluster(builder, servers(names)).unwrap_err();
    assert!(matches!(refused(node(&disk), &["n2"]), RecoverError::NotListed(_)));
    assert!(
        matches!(refused(node(&disk), &["n1", "n4"]), RecoverError::UnknownServer(id) if id == "n4".into())
    );
    assert!(matches!(refused(node(&disk), &["n1", "n1"]), RecoverError::Servers(_)));
    assert!(matches!(refused(node(&disk), &[]), RecoverError::Servers(_)));
    let deaf = node(&disk).state_machine(Deaf);
    assert!(matches!(recover_cluster(deaf, alone()), Err(RecoverError::Snapshot { .. })));
    assert!(matches!(refused(node(&disk).in_memory(), &["n1"]), RecoverError::Incomplete(_)));
    let held = directory(&disk).unwrap();
    let Err(RecoverError::Storage(StorageError::Locked { .. })) = recover_cluster(node(&disk), alone())
    else {
        panic!("a running node was recovered")
    };
    drop(held);
    let (recovered, _, found) = look(&disk).unwrap();
    assert_eq!((recovered.base.last, recovered.last.index, found), (LogId::ZERO, LogIndex(40), words()));
}

#[test]
fn where_nothing_is_nothing_is_made() {
    let disk = SimVfs::new();
    assert!(matches!(recover_cluster(node(&disk), alone()), Err(RecoverError::NoState { .. })));
    assert_eq!(image(&disk), []);
    // A node that never joined a cluster.
    drop(directory(&disk).unwrap());
    let before = image(&disk);
    assert!(matches!(recover_cluster(node(&disk), alone()), Err(RecoverError::NoState { .. })));
    let kept = image(&disk).into_iter().filter(|(file, _)| file.parent() == Some(Path::new("n1")));
    assert_eq!(kept.collect::<Vec<_>>(), before);
}

#[test]
fn a_recovery_that_finds_no_room_is_finished_when_there_is_some() {
    let disk = survivor();
    disk.inject(Fault::at(Operation::Write, Effect::Fail(std::io::ErrorKind::StorageFull)).on("snapshot"));
    let refused = recover_cluster(node(&disk), alone());
    assert!(matches!(refused, Err(RecoverError::Storage(StorageError::Full { .. }))), "{refused:?}");
    assert!(look(&disk).is_err(), "no node starts from here");
    recover_cluster(node(&disk), alone()).unwrap();
    is_recovered(&disk, "with room");
}
