//! One node: its command, its directory, and its process while it runs.

use std::{fs, path::PathBuf};

use serde_json::Value;

use super::{Client, eventually, free_port, process::Process};

/// A node that may be started, killed and started again with the same command.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) listen: String,
    pub(crate) clients: String,
    data: PathBuf,
    /// How it gets into a cluster: `--peers` or `--join`, and with whom.
    entrance: [String; 2],
    settings: Vec<String>,
    starts: u32,
    process: Option<Process>,
}

impl Node {
    /// A node that is not running yet.
    pub(crate) fn new(
        id: &str,
        listen: String,
        data: PathBuf,
        entrance: [&str; 2],
        settings: &[String],
    ) -> Self {
        Self {
            id: id.to_owned(),
            listen,
            clients: format!("127.0.0.1:{}", free_port()),
            data,
            entrance: entrance.map(str::to_owned),
            settings: settings.to_vec(),
            starts: 0,
            process: None,
        }
    }

    /// Starts the process, and does not wait for anything.
    pub(crate) fn start(&mut self) {
        assert!(self.process.is_none(), "{} runs already", self.id);
        self.starts += 1;
        let data = self.data.display().to_string();
        let named = [
            ("--id", self.id.as_str()),
            ("--listen", &self.listen),
            ("--clients", &self.clients),
            ("--data", &data),
            (self.entrance[0].as_str(), &self.entrance[1]),
        ];
        let named = named.into_iter().flat_map(|(name, value)| [name.to_owned(), value.to_owned()]);
        let arguments: Vec<String> = named.chain(self.settings.iter().cloned()).collect();
        let logs = self.data.parent().unwrap();
        let name = format!("{}-start-{}", self.id, self.starts);
        self.process = Some(Process::start_example("archive", &arguments, logs, &name));
    }

    /// Kills it where it stands (`kill -9`).
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().unwrap_or_else(|| panic!("{} does not run", self.id));
        process.kill();
    }

    /// Stops it as an operator does.
    pub(crate) fn terminate(&mut self) {
        let mut process = self.process.take().unwrap_or_else(|| panic!("{} does not run", self.id));
        let status = process.terminate();
        assert!(status.success(), "{} stopped with {status}", self.id);
    }

    pub(crate) fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// The number of its process.
    pub(crate) fn process(&self) -> u32 {
        self.process.as_ref().unwrap_or_else(|| panic!("{} does not run", self.id)).id()
    }

    /// Asks it something, by a connection of its own.
    pub(crate) fn ask(&self, line: &str) -> Result<Value, String> {
        Client::new(&self.clients).ask(line, &[])
    }

    /// Asks until it answers.
    pub(crate) fn answer(&self, line: &str) -> Value {
        eventually(&format!("{} answers {line}", self.id), || self.ask(line).ok())
    }

    /// How much there is of a snapshot that is on its way to it, in bytes; `None` if there is none.
    pub(crate) fn received(&self) -> Option<u64> {
        let files = fs::read_dir(self.data.join("snapshots")).ok()?.filter_map(Result::ok);
        let mut unfinished =
            files.filter(|file| file.path().extension().is_some_and(|ending| ending == "tmp"));
        unfinished.next()?.metadata().ok().map(|file| file.len())
    }
}
