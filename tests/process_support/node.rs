//! One node: its command, its directory, and its process while it runs.

use std::{fs, path::PathBuf, process::ExitStatus};

use super::{Client, Process, eventually, free_port};

/// Short enough for quick tests, long enough for two cores that run several clusters.
const TIMING: [&str; 4] = ["--heartbeat-timeout-ms", "300", "--request-timeout-ms", "4000"];

/// A node that may be started, stopped, killed and started again with the same command.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) raft: String,
    pub(crate) http: String,
    pub(crate) data: PathBuf,
    pub(crate) client: Client,
    /// How it gets into a cluster: `--peers` or `--join`, and with whom.
    entrance: [String; 2],
    more: Vec<String>,
    starts: u32,
    process: Option<Process>,
}

impl Node {
    /// A node that is not running yet. `peers` is what `--peers` takes.
    pub(crate) fn new(id: &str, raft: u16, http: u16, data: PathBuf, peers: &str) -> Self {
        let http = format!("127.0.0.1:{http}");
        Self {
            id: id.to_owned(),
            raft: format!("127.0.0.1:{raft}"),
            client: Client::new(&http),
            http,
            data,
            entrance: ["--peers".to_owned(), peers.to_owned()],
            more: Vec::new(),
            starts: 0,
            process: None,
        }
    }

    /// A node that is to be added to the cluster of the node that listens at `member`.
    pub(crate) fn joining(id: &str, data: PathBuf, member: &str) -> Self {
        let entrance = ["--join".to_owned(), member.to_owned()];
        Self { entrance, ..Self::new(id, free_port(), free_port(), data, "") }
    }

    /// Starts it with further arguments from now on.
    pub(crate) fn with(&mut self, arguments: &[&str]) {
        self.more = arguments.iter().map(|text| (*text).to_owned()).collect();
    }

    /// The command line that starts it.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let data = self.data.display().to_string();
        let named = [
            ("--id", self.id.as_str()),
            ("--raft", &self.raft),
            ("--http", &self.http),
            ("--data", &data),
            (self.entrance[0].as_str(), &self.entrance[1]),
        ];
        let named = named.into_iter().flat_map(|(name, value)| [name, value]);
        let arguments = ["node"].into_iter().chain(named).chain(TIMING).map(str::to_owned);
        arguments.chain(self.more.iter().cloned()).collect()
    }

    /// Starts the process, and does not wait for anything.
    pub(crate) fn start(&mut self) {
        assert!(self.process.is_none(), "{} runs already", self.id);
        self.starts += 1;
        let logs = self.data.parent().unwrap();
        fs::create_dir_all(logs).unwrap();
        // Another node may have the same name, or the same directory.
        let name = format!("{}-at-{}-start-{}", self.id, self.raft, self.starts);
        self.process = Some(Process::start(&self.arguments(), logs, &name));
    }

    /// Whether there is a process, as far as this test has not stopped it.
    pub(crate) fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// The process; a node that was not started has none.
    pub(crate) fn process(&mut self) -> &mut Process {
        self.process.as_mut().unwrap_or_else(|| panic!("{} does not run", self.id))
    }

    /// Kills it where it stands (`kill -9`).
    pub(crate) fn kill(&mut self) {
        self.process().kill();
        self.process = None;
    }

    /// Stops it as an operator does.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        let status = self.process().terminate();
        self.process = None;
        status
    }

    /// Waits until it ends by itself; how, and what it said on standard error.
    pub(crate) fn wait_for_end(&mut self) -> (ExitStatus, String) {
        let status = self.process().wait();
        let said = self.process().stderr();
        self.process = None;
        (status, said)
    }

    /// Waits until it knows a leader and has applied what it knows to be committed.
    pub(crate) fn wait_until_ready(&self) {
        eventually(&format!("{} is ready", self.id), || {
            self.client.get("/ready").ok().filter(|reply| reply.status == 200)
        });
    }
}
