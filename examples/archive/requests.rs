//! What a client asks for, a line each. Every answer is a line of JSON; one that refuses is `{"error": text}`,
//! and whoever sends a line that is not understood is not listened to any longer.
//!
//! | line | answer |
//! |---|---|
//! | `append LENGTH`, and so many bytes behind the line | `{"offset","length"}`, once a majority has it |
//! | `read OFFSET LENGTH` | `{"offset","length"}`, and the bytes behind the line; holds whatever was appended before |
//! | `fill MIB` | `{"blobs"}`: so many blobs of a MiB were appended |
//! | `verify` | `{"blobs","bytes","checksum"}` of this node's own archive, after reading all of it |
//! | `status`, `statistics` | what the node knows of itself, and what it has done |
//! | `snapshot` | `{"index"}`: what this node's state was written down up to |
//! | `add ID HOST:PORT` | `{"index"}`, once a node that runs with --join has a vote |

use std::str::FromStr;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use raftix::prelude::*;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    node::Node,
    store::{Append, BLOB_BYTES_MAX, Look, Place},
};

/// The most that `fill` takes at once, in MiB.
const FILL_MIB_MAX: u64 = 1 << 20;

/// How many blobs of one `fill` are on their way together.
const FILL_PARALLEL: usize = 8;

/// One line, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Append { length: u64 },
    Read { offset: u64, length: u64 },
    Fill { mib: u64 },
    Verify,
    Status,
    Statistics,
    Snapshot,
    Add { id: String, address: String },
}

/// What a request is answered with: a line, and for a `read` the bytes behind it.
pub(crate) type Answer = Result<(Value, Vec<u8>), String>;

impl FromStr for Request {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |word: &str, max: u64| {
            let number = word.parse::<u64>().ok().filter(|number| *number <= max);
            number.ok_or_else(|| format!("{word:?} is no number up to {max}"))
        };
        Ok(match words[..] {
            ["append", length] => Self::Append { length: number(length, BLOB_BYTES_MAX)? },
            ["read", offset, length] => {
                Self::Read { offset: number(offset, u64::MAX)?, length: number(length, BLOB_BYTES_MAX)? }
            }
            ["fill", mib] => Self::Fill { mib: number(mib, FILL_MIB_MAX)? },
            ["verify"] => Self::Verify,
            ["status"] => Self::Status,
            ["statistics"] => Self::Statistics,
            ["snapshot"] => Self::Snapshot,
            ["add", id, address] => Self::Add { id: id.to_owned(), address: address.to_owned() },
            _ => return Err("no such request".to_owned()),
        })
    }
}

/// Does what is asked for; `blob` is what came behind the line.
pub(crate) async fn answer(raft: &Node, request: Request, blob: Bytes) -> Answer {
    let value = match request {
        Request::Append { .. } => json(append(raft, blob).await?)?,
        Request::Read { offset, length } => {
            let edition = raft.send(Read(Look)).await.map_err(text)?.map_err(text)?;
            let place = Place { offset, length };
            let blob = beside(move || edition.read(place)).await?;
            return Ok((json(place)?, blob));
        }
        Request::Fill { mib } => {
            stream::iter(0..mib)
                .map(|number| append(raft, noise(number)))
                .buffer_unordered(FILL_PARALLEL)
                .try_for_each(|_| async { Ok(()) })
                .await?;
            json!({ "blobs": mib })
        }
        Request::Verify => {
            let edition = raft.send(StaleRead(Look)).await.map_err(text)?.map_err(text)?;
            json(beside(move || edition.verify()).await?)?
        }
        Request::Status => json(raft.status())?,
        Request::Statistics => json(raft.statistics())?,
        Request::Snapshot => match raft.send(Snapshot).await.map_err(text)? {
            Ok(taken) => json!({ "index": taken.description.last.index }),
            Err(SnapshotError::NothingNew) => json!({ "index": raft.status().snapshot_index }),
            Err(error) => return Err(text(error)),
        },
        Request::Add { id, address } => {
            let index = raft.send(AddVoter::new(id, address)).await.map_err(text)?.map_err(text)?;
            json!({ "index": index })
        }
    };
    Ok((value, Vec::new()))
}

async fn append(raft: &Node, blob: Bytes) -> Result<Place, String> {
    raft.send(Apply(Append(blob))).await.map_err(text)?.map_err(text)
}

/// A MiB that no file system finds a way to shorten.
fn noise(number: u64) -> Bytes {
    let mut blob = vec![0; BLOB_BYTES_MAX as usize];
    fastrand::Rng::with_seed(number).fill(&mut blob);
    blob.into()
}

/// Reads a file where it delays nobody.
async fn beside<T: Send + 'static>(
    read: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(read).await.map_err(text)?.map_err(text)
}

fn json(value: impl Serialize) -> Result<Value, String> {
    serde_json::to_value(value).map_err(text)
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_understood_or_refused() {
        let read = |line: &str| line.parse::<Request>();
        assert_eq!(read("append 12"), Ok(Request::Append { length: 12 }));
        assert_eq!(read(" read 5  7 "), Ok(Request::Read { offset: 5, length: 7 }));
        let add = Request::Add { id: "n4".to_owned(), address: "a:1".to_owned() };
        assert_eq!(read("add n4 a:1"), Ok(add));
        for line in ["", "append", "append -1", "append 1048577", "read 1", "fill x", "verify now", "Status"]
        {
            assert!(read(line).is_err(), "{line:?}");
        }
    }
}
