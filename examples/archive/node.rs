//! One node: its arguments, its start, its ordered stop.

use std::{error::Error, fs::DirBuilder, os::unix::fs::DirBuilderExt, path::PathBuf, time::Duration};

use clap::Parser;
use raftix::prelude::*;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tracing::info;

use crate::{clients, store::Archive};

/// How a node is called from everywhere in this program.
pub(crate) type Node = Raft<Archive>;

/// A node of a replicated archive of blobs.
#[derive(Debug, Parser)]
#[command(name = "archive", after_help = "RUST_LOG chooses what is logged, e.g. RUST_LOG=raftix=debug.")]
pub(crate) struct Args {
    /// Name of this node, unique in its cluster for ever.
    #[arg(long)]
    id: String,
    /// Where to listen for other nodes.
    #[arg(long, value_name = "HOST:PORT")]
    listen: String,
    /// Where to listen for clients.
    #[arg(long, value_name = "HOST:PORT")]
    clients: String,
    /// Directory of this node's log and snapshots, and of the archive itself; made if it is not there.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Every node of a new cluster, this one included, as id=host:port,id=host:port,…
    #[arg(long, value_delimiter = ',', required_unless_present = "join", value_parser = parse_peer)]
    peers: Vec<(String, String)>,
    /// Wait to be added to the cluster that these nodes belong to. Where they listen for nodes.
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', conflicts_with = "peers")]
    join: Vec<String>,
    /// How many blobs must have come since the last snapshot for another one. Each writes the whole archive.
    #[arg(long, value_name = "BLOBS", default_value_t = 4096)]
    snapshot_threshold: u64,
    /// How many blobs stay in the log behind a snapshot, for nodes that were away a little while.
    #[arg(long, value_name = "BLOBS", default_value_t = 256)]
    trailing_logs: u64,
    /// How much of a snapshot is sent to another node at once, in KiB.
    #[arg(long, value_name = "KIB", default_value_t = 1024)]
    snapshot_chunk_kib: usize,
}

fn parse_peer(text: &str) -> Result<(String, String), String> {
    let (id, address) = text.split_once('=').ok_or("a peer is id=host:port")?;
    Ok((id.to_owned(), address.to_owned()))
}

/// Runs a node until it is told to stop, or cannot go on.
///
/// # Errors
/// Why it did not start, or why it ended by itself.
pub(crate) async fn run(args: Args) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(&args.clients)
        .await
        .map_err(|error| format!("cannot listen for clients on {}: {error}", args.clients))?;
    let raft = start(&args).await?;
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    info!("{}: nodes on {}, clients on {}", args.id, args.listen, args.clients);
    tokio::select! {
        biased;
        fatal = raft.stopped() => {
            let why = fatal.map_or("it has stopped".to_owned(), |fatal| fatal.to_string());
            return Err(format!("{}: {why}", args.id).into());
        }
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = clients::serve(raft.clone(), listener) => {}
    }
    info!("{}: stopping", args.id);
    raft.send(Shutdown).await?;
    Ok(())
}

async fn start(args: &Args) -> Result<Node, Box<dyn Error>> {
    DirBuilder::new().recursive(true).mode(0o700).create(&args.data)?;
    let mut config = Config::default();
    config.snapshot_threshold = args.snapshot_threshold;
    config.trailing_logs = args.trailing_logs;
    config.snapshot_chunk_bytes = args.snapshot_chunk_kib << 10;
    // A blob takes a while where a disk is slow.
    config.request_timeout = Duration::from_secs(30);
    let builder = RaftSystem::builder(args.id.as_str())
        .data_dir(&args.data)
        .listen(args.listen.as_str())
        .config(config)
        .state_machine(Archive::empty(&args.data)?);
    let builder = if args.join.is_empty() {
        builder.peers(args.peers.iter().map(|(id, address)| (id.as_str(), address.as_str())))
    } else {
        builder.join(args.join.iter().map(String::as_str))
    };
    Ok(builder.start().await?)
}
