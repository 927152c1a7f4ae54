//! One node: its arguments, its start, its ordered stop.
//!
//! Owns the process's [`Raft`] handle and its HTTP server. It stops in the order that keeps every promise:
//! first Raft, so that whatever waits is answered while HTTP can still carry the answer, then HTTP.

use std::{
    error::Error, fmt, future::pending, io, net::TcpListener, path::PathBuf, sync::Arc, time::Duration,
};

use clap::Args;
use raftix::{
    prelude::*,
    storage::{
        snapshot::{SnapshotSource, file::FileSnapshotStore},
        vfs::RealVfs,
    },
};
use tracing::{error, info, warn};

use crate::{http, metrics, signals, store::KvStore};

/// How a node is called from everywhere in this program.
pub(crate) type Node = Raft<KvStore>;

/// How long an ordered stop may take before the process ends anyway.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a change of role or leader is looked for, to tell the operator.
const REPORT_INTERVAL: Duration = Duration::from_millis(200);

/// Arguments of `kv node`.
#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    /// Name of this node, unique in its cluster for ever.
    #[arg(long)]
    pub(crate) id: String,
    /// Where to listen for other nodes.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) raft: String,
    /// Where other nodes find this one, if not at --raft (as when that is 0.0.0.0).
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) advertise: Option<String>,
    /// Where to listen for clients.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) http: String,
    /// Directory of this node's log; made if it is not there.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Every node of a new cluster, this one included, as id=host:port,id=host:port,…
    #[arg(long, value_delimiter = ',', required_unless_present = "join", value_parser = parse_peer)]
    pub(crate) peers: Vec<Peer>,
    /// Wait to be added to the cluster that these nodes, or one of them, belong to. Where they listen for nodes.
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', conflicts_with = "peers")]
    pub(crate) join: Vec<String>,
    /// Stop when standard input ends. `kv cluster` sets it, so that no node outlives it.
    #[arg(long)]
    pub(crate) supervised: bool,
    #[command(flatten)]
    pub(crate) timing: Timing,
    #[command(flatten)]
    pub(crate) snapshots: Snapshots,
}

/// When the state is written down, where it differs from [`Config::default`].
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Snapshots {
    /// How many entries must have been applied since the last snapshot for another one.
    #[arg(long, value_name = "ENTRIES")]
    pub(crate) snapshot_threshold: Option<u64>,
    /// How often it is looked whether there are that many.
    #[arg(long, value_name = "MS")]
    pub(crate) snapshot_interval_ms: Option<u64>,
    /// How many entries stay in the log behind a snapshot.
    #[arg(long, value_name = "ENTRIES")]
    pub(crate) trailing_logs: Option<u64>,
}

impl Snapshots {
    /// The same as arguments, for a child process.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = String> {
        let named = [
            ("--snapshot-threshold", self.snapshot_threshold),
            ("--snapshot-interval-ms", self.snapshot_interval_ms),
            ("--trailing-logs", self.trailing_logs),
        ];
        arguments(named)
    }

    fn apply_to(&self, config: &mut Config) {
        config.snapshot_threshold = self.snapshot_threshold.unwrap_or(config.snapshot_threshold);
        config.trailing_logs = self.trailing_logs.unwrap_or(config.trailing_logs);
        if let Some(ms) = self.snapshot_interval_ms {
            config.snapshot_interval = Duration::from_millis(ms);
        }
    }
}

/// Those that have a value, as arguments.
fn arguments<const N: usize>(named: [(&'static str, Option<u64>); N]) -> impl Iterator<Item = String> {
    named.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?.to_string()])).flatten()
}

/// Timing, where it differs from [`Config::default`].
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Timing {
    /// How long a follower waits for its leader before it stands for election.
    #[arg(long, value_name = "MS")]
    pub(crate) heartbeat_timeout_ms: Option<u64>,
    /// How long a candidate waits for votes; if not given, as --heartbeat-timeout-ms.
    #[arg(long, value_name = "MS")]
    pub(crate) election_timeout_ms: Option<u64>,
    /// How long a leader leads without hearing from a quorum; if not given, half of --heartbeat-timeout-ms.
    #[arg(long, value_name = "MS")]
    pub(crate) leader_lease_timeout_ms: Option<u64>,
    /// When a request gives up.
    #[arg(long, value_name = "MS")]
    pub(crate) request_timeout_ms: Option<u64>,
}

impl Timing {
    /// The same as arguments, for a child process.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = String> {
        let named = [
            ("--heartbeat-timeout-ms", self.heartbeat_timeout_ms),
            ("--election-timeout-ms", self.election_timeout_ms),
            ("--leader-lease-timeout-ms", self.leader_lease_timeout_ms),
            ("--request-timeout-ms", self.request_timeout_ms),
        ];
        arguments(named)
    }

    fn config(&self) -> Config {
        let mut config = Config::default();
        if let Some(ms) = self.heartbeat_timeout_ms {
            config.heartbeat_timeout = Duration::from_millis(ms);
            config.election_timeout = config.heartbeat_timeout;
            config.leader_lease_timeout = config.heartbeat_timeout / 2;
        }
        let set = |setting: &mut Duration, ms: Option<u64>| {
            *setting = ms.map_or(*setting, Duration::from_millis);
        };
        set(&mut config.election_timeout, self.election_timeout_ms);
        set(&mut config.leader_lease_timeout, self.leader_lease_timeout_ms);
        set(&mut config.request_timeout, self.request_timeout_ms);
        config
    }
}

/// One of the nodes that found a cluster.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) id: String,
    pub(crate) address: String,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.id, self.address)
    }
}

fn parse_peer(text: &str) -> Result<Peer, String> {
    let (id, address) = text.split_once('=').ok_or("a peer is id=host:port")?;
    Ok(Peer { id: id.to_owned(), address: address.to_owned() })
}

/// Runs a node until it is told to stop, or cannot go on.
///
/// # Errors
/// Why it did not start, or why it ended by itself.
pub(crate) async fn run(args: NodeArgs) -> Result<(), Box<dyn Error>> {
    let supervised = args.supervised;
    let parent_gone = async move { if supervised { signals::input_ended().await } else { pending().await } };
    // Before Raft: a node that cannot serve its clients shall not touch its directory.
    let listener = TcpListener::bind(&args.http)
        .map_err(|error| format!("cannot listen for clients on {}: {error}", args.http))?;
    let metrics = metrics::install()?;
    let raft = start(&args).await?;
    let stop = signals::stop_signal()?;
    let snapshots = SnapshotFiles { data: args.data.clone() };
    let server = http::serve(raft.clone(), snapshots, metrics, listener)?;
    let http = server.handle();
    actix::spawn(server);
    info!("{}: raft on {}, http://{}", args.id, args.raft, args.http);

    let ended = tokio::select! {
        biased;
        fatal = raft.stopped() => Err(ended_by_itself(&args.id, fatal)),
        () = stop => stop_in_order(&args.id, &raft).await,
        () = parent_gone => stop_in_order(&args.id, &raft).await,
        () = report_changes(&raft) => Ok(()),
    };
    http.stop(true).await;
    ended.map_err(Into::into)
}

/// The files of a node's snapshots, which may be read while it runs.
#[derive(Debug)]
pub(crate) struct SnapshotFiles {
    data: PathBuf,
}

impl SnapshotFiles {
    /// The newest, at its beginning.
    pub(crate) fn newest(&self) -> io::Result<Box<dyn SnapshotSource>> {
        let files = FileSnapshotStore::new(Arc::new(RealVfs), &self.data.join("snapshots"));
        files.newest().map_err(io::Error::other)?.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

async fn start(args: &NodeArgs) -> Result<Node, StartError> {
    let mut config = args.timing.config();
    args.snapshots.apply_to(&mut config);
    let mut builder =
        RaftSystem::builder(args.id.as_str()).data_dir(&args.data).listen(args.raft.as_str()).config(config);
    if args.join.is_empty() {
        builder = builder.peers(args.peers.iter().map(|peer| (peer.id.as_str(), peer.address.as_str())));
    } else {
        builder = builder.join(args.join.iter().map(String::as_str));
    }
    builder = builder.recover_from_peers_json(true);
    if let Some(address) = &args.advertise {
        builder = builder.advertise(address.as_str());
    }
    builder.state_machine(KvStore::default()).start().await
}

async fn stop_in_order(id: &str, raft: &Node) -> Result<(), String> {
    info!("{id}: stopping");
    match tokio::time::timeout(STOP_TIMEOUT, raft.send(Shutdown)).await {
        Ok(_) => {
            info!("{id}: stopped");
            Ok(())
        }
        Err(_) => Err(format!("{id} did not stop within {} s", STOP_TIMEOUT.as_secs())),
    }
}

fn ended_by_itself(id: &str, fatal: Option<Fatal>) -> String {
    match fatal {
        Some(fatal) => format!("{id} has failed: {fatal}"),
        None => format!("{id} has stopped"),
    }
}

/// Tells the operator what the node has become. Never returns.
async fn report_changes(raft: &Node) {
    let mut known = None;
    let mut ticks = tokio::time::interval(REPORT_INTERVAL);
    loop {
        ticks.tick().await;
        let status = raft.status();
        let now = Some((status.role, status.term, status.leader.clone(), status.standing.clone()));
        if now != known {
            known = now;
            report(&status);
        }
    }
}

fn report(status: &Status) {
    let Status { id, role, term, standing, .. } = status;
    let leader = status.leader.as_ref().map_or("no leader known".to_owned(), |id| format!("leader {id}"));
    let what = match role {
        ServerRole::Quarantined => standing.clone(),
        _ => format!("{role} in term {term}, {leader}, {standing}"),
    };
    if standing == "member" || standing.starts_with("blank") {
        info!("{id}: {what}");
    } else {
        warn!("{id}: {what}");
    }
    if let Some(fatal) = &status.fatal {
        error!("{id}: {fatal}");
    }
}
