//! The quick bench: how many commands a second does a cluster in this process apply, and how long does one
//! take? Closed loop, on the leader; the state of every node is compared at the end.
//!
//! ```text
//! cargo run --release --example bench -- --nodes 3 --clients 64 --ops 1000000 --payload 0 \
//!     --log memory --transport memory --json
//! ```
//!
//! In memory all nodes share one thread with the clients. Over TCP every follower has a thread of its own,
//! as it would have a machine, and the leader shares its thread with the clients unless `--client-thread`.
#![allow(clippy::disallowed_methods, reason = "a bench measures real time")]

mod cluster;
mod digest;
mod load;

use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Where the nodes keep their logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Log {
    Memory,
    Wal,
}

/// How the nodes reach each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Net {
    Memory,
    Tcp,
}

/// Measures a cluster within this process.
#[derive(Clone, Debug, Parser)]
struct Options {
    /// How many nodes.
    #[arg(long, default_value_t = 3)]
    nodes: usize,
    /// How many clients, each with one command on its way.
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// How many commands in all.
    #[arg(long, default_value_t = 1_000_000)]
    ops: u64,
    /// Bytes in each command.
    #[arg(long, default_value_t = 0)]
    payload: usize,
    /// Where the nodes keep their logs.
    #[arg(long, value_enum, default_value = "memory")]
    log: Log,
    /// How the nodes reach each other.
    #[arg(long, value_enum, default_value = "memory")]
    transport: Net,
    /// Put the clients on a thread of their own.
    #[arg(long)]
    client_thread: bool,
    /// For how many turns a leader's thread looks for answers before it sleeps, if not as many as nodes are
    /// shipped with (`Config::busy_poll`).
    #[arg(long)]
    busy_poll: Option<u32>,
    /// Print one last line of JSON.
    #[arg(long)]
    json: bool,
    /// Where durable logs go; a temporary directory that is removed afterwards, if not given.
    #[arg(long)]
    data: Option<std::path::PathBuf>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let options = Options::parse();
    actix_rt::System::new().block_on(run(options))
}

async fn run(options: Options) -> Result<(), Box<dyn std::error::Error>> {
    let cluster = cluster::Cluster::start(&options).await?;
    let leader = cluster.leader().await?;
    let result = if options.client_thread {
        let (report, measured) = tokio::sync::oneshot::channel();
        let options = options.clone();
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let _ = report.send(load::run(&leader, &options).await);
            });
        });
        let result = measured.await?;
        thread.join().map_err(|_| "the client thread panicked")?;
        result
    } else {
        load::run(&leader, &options).await
    };
    let digests_equal = cluster.digests_equal(options.ops, Duration::from_secs(60)).await?;
    cluster.stop().await;
    let per_second = result.ops as f64 / result.seconds;
    println!(
        "{} ops in {:.3} s: {:.0} op/s, p50 {:.1} us, p99 {:.1} us, digests {}",
        result.ops,
        result.seconds,
        per_second,
        result.p50_us,
        result.p99_us,
        if digests_equal { "equal" } else { "DIFFER" }
    );
    if options.json {
        let line = serde_json::json!({
            "ops": result.ops,
            "seconds": result.seconds,
            "ops_per_s": per_second,
            "p50_us": result.p50_us,
            "p99_us": result.p99_us,
            "digests_equal": digests_equal,
        });
        println!("{line}");
    }
    if digests_equal { Ok(()) } else { Err("the nodes' states differ".into()) }
}
