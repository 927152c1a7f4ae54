//! `archive`: a replicated archive of blobs, and an example of a state machine that is larger than memory.
//!
//! ```text
//! cargo build --release --example archive
//! archive=target/release/examples/archive
//! peers=n1=127.0.0.1:7101,n2=127.0.0.1:7102,n3=127.0.0.1:7103
//! for n in 1 2 3; do
//!     $archive --id n$n --listen 127.0.0.1:710$n --clients 127.0.0.1:810$n --data data/n$n --peers $peers &
//! done
//! echo 'fill 100' | nc -N 127.0.0.1 8101
//! echo 'verify'   | nc -N 127.0.0.1 8102
//! ```
//!
//! Read in this order:
//!
//! 1. `store.rs`: the state machine, whose state is a file, and whose snapshot is that file as of some length;
//! 2. `node.rs`: one node, from its arguments to its ordered stop;
//! 3. `requests.rs` and `clients.rs`: what a client asks for in one line, and how it is answered.

mod clients;
mod node;
mod requests;
mod store;

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
};

use clap::Parser;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let args = node::Args::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,archive=info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
    match actix::System::new().block_on(node::run(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("archive: {error}");
            ExitCode::FAILURE
        }
    }
}
