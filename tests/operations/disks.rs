//! What stands in the log of a node that does not run, read from its directory as the node itself would read it.

use std::sync::Arc;

use bytes::Bytes;
use raftix::{
    storage::{LogStore, data_dir::DataDir, vfs::RealVfs, wal::Wal},
    types::{EntryKind, GroupId, LogId, LogIndex, NodeId},
};
use serde::Deserialize;

use crate::{register::Set, support::Node};

/// About how much is read at a time.
const READ_BYTES: usize = 1 << 20;

/// The log of one node.
#[derive(Debug)]
pub(crate) struct DiskLog {
    /// Whose it is.
    pub(crate) id: String,
    /// The first entry that is there, or would be if there were any: what lies before is in a snapshot.
    pub(crate) first: LogIndex,
    /// Its end.
    pub(crate) last: LogId,
    /// The writes of clients.
    pub(crate) sets: Vec<(LogId, Set)>,
}

/// The commands of the example that clients here send, as they stand in the log.
#[derive(Deserialize)]
enum Command {
    Set { key: Bytes, value: Bytes },
}

/// The log of `node`, which must not run.
pub(crate) fn log_of(node: &Node) -> DiskLog {
    assert!(!node.is_running(), "{} runs", node.id);
    let vfs = Arc::new(RealVfs);
    let directory = DataDir::open_existing(vfs.clone(), &node.data, &NodeId::from(node.id.as_str()))
        .unwrap_or_else(|error| panic!("{}: {error}", node.id))
        .unwrap_or_else(|| panic!("{} has no state", node.id));
    let mut options = directory.wal_options(GroupId::ZERO);
    options.background = false;
    let mut wal = Wal::open(vfs, &directory.wal_dir(), options);
    let recovered = wal.recover().unwrap_or_else(|error| panic!("{}: {error}", node.id));
    let first = recovered.base.last.index.next();
    let mut sets = Vec::new();
    let mut next = first;
    while next <= recovered.last.index {
        for batch in wal.read(next, recovered.last.index, READ_BYTES).unwrap() {
            let commands = batch.iter().filter(|entry| entry.kind == EntryKind::Command);
            sets.extend(commands.map(|entry| (entry.id(), set(entry.data))));
            next = batch.last().next();
        }
    }
    DiskLog { id: node.id.clone(), first, last: recovered.last, sets }
}

fn set(data: &[u8]) -> Set {
    let Command::Set { key, value } = rmp_serde::from_slice(data).expect("clients here send nothing else");
    let text = |bytes: Bytes| String::from_utf8(bytes.into()).expect("what clients here send is text");
    Set { key: text(key), value: text(value) }
}
