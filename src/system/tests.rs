//! What a node makes of the directory it finds.

use std::sync::Arc;

use super::Placement;
use crate::{
    RaftSystem,
    config::Config,
    messages::Shutdown,
    state_machine::{Answer, Reply, StateMachine},
    storage::{LogStore, VoteStore, data_dir::DataDir, vfs::RealVfs, wal::Wal},
    system::builder::NoCommand,
    types::{EntryBuffer, EntryKind, GroupId, LogId, LogIndex, Membership, Server, Suffrage, Term, Vote},
};

struct Nothing;

impl StateMachine for Nothing {
    type Command = NoCommand;
    type Query = NoCommand;

    fn apply(&mut self, _: LogId, _: NoCommand) -> Reply<Self> {}

    fn query(&self, _: NoCommand) -> Answer<Self> {}
}

/// A directory with its first entry and without the mark of a member, as a crash between the two leaves it.
fn founded_and_not_marked(path: &std::path::Path) {
    let directory = DataDir::open(Arc::new(RealVfs), path, &"n1".into()).unwrap();
    let incarnation = directory.identity().incarnation;
    let own = Server { id: "n1".into(), address: "n1".into(), suffrage: Suffrage::Voter, incarnation };
    let mut first = EntryBuffer::default();
    first.push(EntryKind::Configuration, &Membership::new([own]).unwrap().encode());
    let mut log = Wal::open(Arc::new(RealVfs), &directory.wal_dir(), directory.wal_options(GroupId::ZERO));
    log.recover().unwrap();
    log.save_vote(&Vote { term: Term(1), voted_for: None }).unwrap();
    log.append(&first.seal(LogIndex(1), Term(1))).unwrap();
    log.flush().unwrap();
}

#[tokio::test]
async fn a_node_that_crashed_before_it_was_marked_a_member_is_marked_before_it_votes() {
    let directory = tempfile::tempdir().unwrap();
    founded_and_not_marked(directory.path());
    let run = async {
        let builder = RaftSystem::builder("n1").data_dir(directory.path()).config(Config::fast());
        let builder = builder.placement(Placement::Inline);
        let raft = builder.state_machine(Nothing).start().await.unwrap();
        raft.leader_elected().await.expect("it is alone");
        raft.send(Shutdown).await.unwrap();
    };
    tokio::task::LocalSet::new().run_until(run).await;
    let again = DataDir::open(Arc::new(RealVfs), directory.path(), &"n1".into()).unwrap();
    assert!(again.identity().member && !again.identity().cluster.is_none());
}
