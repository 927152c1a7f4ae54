//! Several nodes on one machine: starts them, reports what becomes of them, stops them.
//!
//! Each child holds the read end of a pipe as its standard input and stops in order when the pipe ends.
//! That is how they are told to stop, and why none outlives this process, however it dies. A child that
//! dies is never restarted behind the operator's back.

use std::{
    env,
    error::Error,
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use clap::Args;
use futures::{StreamExt, stream::FuturesUnordered};
use tokio::process::{Child, ChildStdin, Command};

use crate::{
    node::{Peer, Snapshots, Timing},
    signals,
};

/// How long the nodes may take to stop before they are killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// Arguments of `kv cluster`.
#[derive(Debug, Args)]
pub(crate) struct ClusterArgs {
    /// How many nodes. Only the first start of a directory decides: later ones are not members.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
    nodes: u16,
    /// Where the nodes keep their logs, a directory each.
    #[arg(long, value_name = "DIR", default_value = "./data")]
    data: PathBuf,
    /// Port for clients of the first node; the others count on from it.
    #[arg(long, value_name = "PORT", default_value_t = 8001)]
    http_port_base: u16,
    /// Port for other nodes of the first node; the others count on from it.
    #[arg(long, value_name = "PORT", default_value_t = 7001)]
    raft_port_base: u16,
    #[command(flatten)]
    timing: Timing,
    #[command(flatten)]
    snapshots: Snapshots,
}

/// One node as seen from outside.
#[derive(Debug)]
struct Member {
    id: String,
    http: String,
    arguments: Vec<String>,
}

/// Runs the nodes until Ctrl-C or SIGTERM, or until the last one has died.
///
/// # Errors
/// If a node cannot be started, if all have died, or if one did not stop in order.
pub(crate) async fn run(args: ClusterArgs) -> Result<(), Box<dyn Error>> {
    let program = env::current_exe()?;
    let members = members(&args)?;
    let stop = signals::stop_signal()?;
    let mut leashes = Vec::new();
    let mut running = FuturesUnordered::new();
    println!("{} nodes, their logs in {}:", members.len(), args.data.display());
    for member in &members {
        let (mut child, leash) = spawn(&program, member)?;
        let Member { id, http, .. } = member;
        println!("  {id}  http://{http}  process {}", child.id().unwrap_or_default());
        leashes.push(leash);
        running.push(async move { (member, child.wait().await) });
    }
    print_usage(&members);

    tokio::pin!(stop);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            ended = running.next() => match ended {
                Some((member, status)) => report_death(&program, member, status),
                None => return Err("every node has died".into()),
            },
        }
    }
    println!("Stopping {} nodes.", running.len());
    drop(leashes);
    // Dropping what still runs afterwards kills it.
    let all_stopped = async {
        let mut in_order = true;
        while let Some((member, status)) = running.next().await {
            in_order &= report_stop(member, status);
        }
        in_order
    };
    match tokio::time::timeout(STOP_TIMEOUT, all_stopped).await {
        Ok(true) => Ok(()),
        Ok(false) => Err("not every node stopped in order".into()),
        Err(_) => Err(format!("killed what did not stop within {} s", STOP_TIMEOUT.as_secs()).into()),
    }
}

fn members(args: &ClusterArgs) -> Result<Vec<Member>, String> {
    let address = |base: u16, offset: u16| match base.checked_add(offset) {
        Some(port) => Ok(format!("127.0.0.1:{port}")),
        None => Err(format!("{} nodes from port {base} on are more than there are ports", args.nodes)),
    };
    let peers = (0..args.nodes)
        .map(|n| Ok(Peer { id: format!("n{}", n + 1), address: address(args.raft_port_base, n)? }))
        .collect::<Result<Vec<_>, String>>()?;
    let list = peers.iter().map(Peer::to_string).collect::<Vec<_>>().join(",");
    let member = |(n, peer): (u16, &Peer)| {
        let http = address(args.http_port_base, n)?;
        let data = args.data.join(&peer.id).display().to_string();
        let named = [
            ("--id", peer.id.as_str()),
            ("--raft", &peer.address),
            ("--http", &http),
            ("--data", &data),
            ("--peers", &list),
        ];
        let mut arguments = vec!["node".to_owned()];
        arguments.extend(named.into_iter().flat_map(|(name, value)| [name.to_owned(), value.to_owned()]));
        arguments.extend(args.timing.arguments());
        arguments.extend(args.snapshots.arguments());
        Ok(Member { id: peer.id.clone(), http, arguments })
    };
    (0..).zip(&peers).map(member).collect()
}

fn spawn(program: &Path, member: &Member) -> io::Result<(Child, ChildStdin)> {
    let mut child = Command::new(program)
        .args(&member.arguments)
        .arg("--supervised")
        .stdin(Stdio::piped())
        // A group of its own, so that Ctrl-C in the terminal reaches only this process.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    // Taken out, because waiting for a child closes what it still holds.
    let leash = child.stdin.take().ok_or_else(|| io::Error::other("the child has no standard input"))?;
    Ok((child, leash))
}

fn print_usage(members: &[Member]) {
    let (first, last) = (&members[0].http, &members[members.len() - 1].http);
    println!("Any node takes any request:");
    println!("  curl -X PUT --data-binary 'hello' http://{first}/kv/greeting");
    println!("  curl http://{last}/kv/greeting");
    println!("  curl -d '{{\"expect\": \"hello\", \"value\": \"world\"}}' http://{last}/kv/greeting/cas");
    println!("  curl -X DELETE http://{first}/kv/greeting");
    println!("  curl http://{first}/status");
    println!("  curl http://{first}/mailboxes");
    println!("  kv ctl --http {first} status");
    println!("Ctrl-C stops them all; what was written is there again on the next start.");
}

fn report_death(program: &Path, member: &Member, status: io::Result<ExitStatus>) {
    let Member { id, arguments, .. } = member;
    let what = status.map_or_else(|error| error.to_string(), |status| status.to_string());
    eprintln!("{id} has died ({what}) and is not restarted; to start it again:");
    eprintln!("  {} {}", program.display(), arguments.join(" "));
}

fn report_stop(member: &Member, status: io::Result<ExitStatus>) -> bool {
    match status {
        Ok(status) if status.success() => {
            println!("{} stopped.", member.id);
            true
        }
        Ok(status) => {
            eprintln!("{} stopped with {status}.", member.id);
            false
        }
        Err(error) => {
            eprintln!("{}: {error}", member.id);
            false
        }
    }
}
