//! A `peers.json` in the data directory of a node that is started.

use std::{io, path::Path};

use super::{Place, RecoveredServer, peers_json};
use crate::{
    error::RecoverError,
    state_machine::StateMachine,
    storage::{StorageError, vfs::Vfs},
    system::{
        RaftBuilder,
        builder::{Placement, SnapshotChoice, StoreChoice},
        open::beside,
    },
};

const FILE: &str = "peers.json";
/// The longest list that is read, in bytes: 255 servers take a tenth of it.
const FILE_BYTES_MAX: u64 = 2 << 20;

/// Recovers the cluster from the directory that `builder` names, if there is a `peers.json` in it and it was asked for.
/// The state machine comes back with all of the state in it; the start replaces that by the same.
pub(in crate::system) async fn recover_at_start<S: StateMachine>(
    builder: &mut RaftBuilder<S>,
    machine: S,
) -> Result<S, crate::error::StartError> {
    if !builder.peers_json {
        return Ok(machine);
    }
    if matches!(builder.snapshots, SnapshotChoice::Own(_))
        || !matches!(builder.store, StoreChoice::Directory(_))
    {
        let what = "recover_from_peers_json needs a data_dir with the log and the snapshots in it";
        return Err(RecoverError::Incomplete(what).into());
    }
    let place = Place::of(builder)?;
    let (name, inline) = (format!("raftix-recover-{}", place.id), builder.placement == Placement::Inline);
    Ok(beside(name, inline, move || place.recover_from_file(machine)).await??)
}

impl Place {
    fn recover_from_file<S: StateMachine>(self, machine: S) -> Result<S, RecoverError> {
        let (vfs, file) = (self.vfs.clone(), self.path.join(FILE));
        let Some(servers) = read(vfs.as_ref(), &file)? else { return Ok(machine) };
        tracing::warn!(node = %self.id, file = %file.display(), "recovering the cluster");
        let (recovery, machine) = self.recover(machine, &servers)?;
        for repair in &recovery.repairs {
            tracing::warn!(%repair, "left out of the recovered state");
        }
        remove(vfs.as_ref(), &file)?;
        tracing::warn!(last = %recovery.last, cluster = %recovery.cluster, "recovered the cluster");
        Ok(machine)
    }
}

/// What the file lists; `None` if there is none.
fn read(vfs: &dyn Vfs, file: &Path) -> Result<Option<Vec<RecoveredServer>>, RecoverError> {
    let name = file.display().to_string();
    let failed = |source| StorageError::Io { operation: "read", file: name.clone(), source };
    let mut handle = match vfs.open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    let unreadable = |reason: String| RecoverError::Unreadable { file: name.clone(), reason };
    let size = handle.size().map_err(failed)?;
    if size > FILE_BYTES_MAX {
        return Err(unreadable(format!("{size} bytes are more than {FILE_BYTES_MAX}")));
    }
    let mut bytes = vec![0; size as usize];
    handle.read_at(0, &mut bytes).map_err(failed)?;
    let text = String::from_utf8(bytes).map_err(|error| unreadable(error.to_string()))?;
    peers_json::read(&text, &name).map(Some)
}

fn remove(vfs: &dyn Vfs, file: &Path) -> Result<(), StorageError> {
    let failed = |source| StorageError::Io { operation: "remove", file: file.display().to_string(), source };
    vfs.remove(file).map_err(failed)?;
    vfs.sync_dir(file.parent().unwrap_or(Path::new("."))).map_err(failed)
}
