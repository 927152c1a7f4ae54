//! `kv`: a replicated key-value service over HTTP, and the first thing to read about using Raftix.
//!
//! ```text
//! cargo run --release --example kv -- cluster
//! curl -X PUT --data-binary 'hello' http://127.0.0.1:8001/kv/greeting
//! curl http://127.0.0.1:8002/kv/greeting
//! ```
//!
//! Read in this order:
//!
//! 1. `store.rs`: the state machine, all that is replicated;
//! 2. `node.rs`: one node, from `RaftSystem::builder` to an ordered stop;
//! 3. `http/`: what clients see, and what each failure of Raft means to them;
//! 4. `cluster.rs`: several nodes on one machine, as child processes;
//! 5. `ctl.rs`: what an operator does with a running cluster.

mod cluster;
mod ctl;
mod http;
mod metrics;
mod node;
mod requests;
mod signals;
mod store;

use std::{
    error::Error,
    io::{self, IsTerminal},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// A replicated key-value service over HTTP.
#[derive(Debug, Parser)]
#[command(name = "kv", after_help = "RUST_LOG chooses what is logged, e.g. RUST_LOG=raftix=debug.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run several nodes on this machine, each a process of its own.
    ///
    /// A node that dies is reported and stays down, so that what the others do without it can be seen;
    /// the line that starts it again is printed. When all have died, this ends with status 1. On Ctrl-C
    /// or SIGTERM all nodes stop in order; with the same --data the next start finds all that was there.
    Cluster(cluster::ClusterArgs),
    /// Run one node.
    ///
    /// With blank directories on all listed peers they found a cluster together. A node whose directory
    /// holds state ignores the list. A blank node among peers that hold state is quarantined: it has no
    /// vote, and says so. A node with --join waits to be added to a cluster: see `kv ctl add`.
    Node(node::NodeArgs),
    /// Look at a running cluster, or change it, through any of its nodes.
    Ctl(ctl::CtlArgs),
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,kv=info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
    match actix::System::new().block_on(run(command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kv: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::Cluster(args) => cluster::run(args).await,
        Command::Node(args) => node::run(args).await,
        Command::Ctl(args) => ctl::run(args),
    }
}
