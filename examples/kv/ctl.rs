//! `kv ctl`: what an operator asks of a running cluster, through the HTTP of any node. Prints tables; an error is
//! one line and a status that is not zero.

use std::{
    error::Error,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Subcommand};
use raftix::{Status, inspect::MailboxReport, types::Suffrage};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use ureq::{
    Agent, Body, RequestExt,
    http::{Method, Request, Response},
};

/// Longer than any request takes that a node gives up by itself,
const TIMEOUT: Duration = Duration::from_secs(60);
/// but for those that take as long as a state is large.
const LONG_TIMEOUT: Duration = Duration::from_secs(3660);

/// Arguments of `kv ctl`.
#[derive(Debug, Args)]
pub(crate) struct CtlArgs {
    /// Where a node of the cluster listens for clients.
    #[arg(long, value_name = "HOST:PORT")]
    http: String,
    #[command(subcommand)]
    command: CtlCommand,
}

#[derive(Debug, Subcommand)]
enum CtlCommand {
    /// What the node knows of itself and its cluster.
    Status,
    /// Who belongs to the cluster.
    Members,
    /// Add a node that runs with --join, or give a member another address or suffrage.
    Add {
        /// Its name.
        id: String,
        /// Where it listens for other nodes.
        #[arg(value_name = "HOST:PORT")]
        address: String,
        /// Send it the log without giving it a vote.
        #[arg(long)]
        nonvoter: bool,
    },
    /// Remove a member, whether or not it runs.
    Remove {
        /// Its name.
        id: String,
    },
    /// Have another node lead.
    Transfer {
        /// Which; if not given, whichever is furthest.
        to: Option<String>,
    },
    /// Write the node's state down and shorten its log.
    Snapshot,
    /// Copy the node's state to a file, for `restore`.
    Export {
        /// Made, or replaced when all of the state is here.
        file: PathBuf,
    },
    /// Replace the state of the whole cluster by what `export` wrote, there or of another cluster. The node must lead.
    Restore {
        /// What was exported.
        file: PathBuf,
    },
    /// What every actor's mailbox holds.
    Mailboxes,
}

/// What `GET /cluster/members` answers.
#[derive(Debug, Deserialize)]
struct Members {
    index: u64,
    committed: bool,
    members: Vec<Member>,
}

#[derive(Debug, Deserialize)]
struct Member {
    id: String,
    address: String,
    suffrage: Suffrage,
    leader: bool,
}

/// Does what the arguments say.
///
/// # Errors
/// What the node answered, or that it does not.
pub(crate) fn run(CtlArgs { http, command }: CtlArgs) -> Result<(), Box<dyn Error>> {
    let node = Remote::new(http);
    match command {
        CtlCommand::Status => print!("{}", node.get::<Status>("/status")?),
        CtlCommand::Members => print_members(&node.get("/cluster/members")?),
        CtlCommand::Add { id, address, nonvoter } => {
            let suffrage = if nonvoter { Suffrage::Nonvoter } else { Suffrage::Voter };
            let body = json!({ "id": id, "address": address, "suffrage": suffrage });
            let done = node.send(Method::POST, "/cluster/members", Some(body))?;
            let what = if nonvoter { "a member without a vote" } else { "a voter" };
            println!("{id} at {address} is {what} as of entry {}.", done["index"]);
        }
        CtlCommand::Remove { id } => {
            let done = node.send(Method::DELETE, &format!("/cluster/members/{}", escaped(&id)), None)?;
            println!("{id} is no member as of entry {}.", done["index"]);
        }
        CtlCommand::Transfer { to } => {
            let body = to.map(|to| json!({ "to": to }));
            let done = node.send(Method::POST, "/cluster/transfer", body)?;
            println!("{} leads.", done["leader"].as_str().unwrap_or("another node"));
        }
        CtlCommand::Snapshot => {
            let done = node.send(Method::POST, "/cluster/snapshot", None)?;
            println!("The state is written down up to entry {}.", done["index"]);
        }
        CtlCommand::Export { file } => {
            let bytes = node.patient().export(&file)?;
            println!("{bytes} bytes of state are in {}.", file.display());
        }
        CtlCommand::Restore { file } => {
            let done = node.patient().restore(&file)?;
            println!("The state is that of {} as of entry {}.", file.display(), done["index"]);
        }
        CtlCommand::Mailboxes => print!("{}", node.get::<MailboxReport>("/mailboxes")?),
    }
    Ok(())
}

/// A node as seen through its HTTP.
struct Remote {
    agent: Agent,
    address: String,
}

impl Remote {
    fn new(address: String) -> Self {
        Self::with_timeout(address, TIMEOUT)
    }

    fn with_timeout(address: String, timeout: Duration) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .timeout_global(Some(timeout));
        Self { agent: config.build().into(), address }
    }

    /// The same, for what takes as long as a state is large.
    fn patient(&self) -> Self {
        Self::with_timeout(self.address.clone(), LONG_TIMEOUT)
    }

    fn restore(&self, path: &Path) -> Result<Value, Box<dyn Error>> {
        let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let request = Request::builder().method(Method::POST).uri(self.uri("/cluster/restore"));
        self.json_of(request.body(file)?.with_agent(&self.agent).run())
    }

    /// Copies the state to `path`; how many bytes it has. A part of one never gets that name.
    fn export(&self, path: &Path) -> Result<u64, Box<dyn Error>> {
        let request = Request::builder().method(Method::GET).uri(self.uri("/cluster/snapshot")).body(())?;
        let answer = request.with_agent(&self.agent).run();
        let mut answer = answer.map_err(|error| self.no_answer(&error))?;
        if !answer.status().is_success() {
            return Err(self.json_of(Ok(answer)).err().unwrap_or_else(|| "an error without words".into()));
        }
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let mut file = File::create(&part)?;
        let bytes = io::copy(&mut answer.body_mut().as_reader(), &mut file)?;
        file.sync_all()?;
        fs::rename(&part, path)?;
        Ok(bytes)
    }

    fn uri(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn no_answer(&self, error: &ureq::Error) -> String {
        format!("no answer from {}: {error}", self.address)
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Box<dyn Error>> {
        Ok(serde_json::from_value(self.send(Method::GET, path, None)?)?)
    }

    fn send(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, Box<dyn Error>> {
        let request = Request::builder().method(method).uri(self.uri(path));
        self.json_of(match body {
            Some(body) => request.body(body.to_string())?.with_agent(&self.agent).run(),
            None => request.body(())?.with_agent(&self.agent).run(),
        })
    }

    /// What an answer says, if it is no error.
    fn json_of(&self, answer: Result<Response<Body>, ureq::Error>) -> Result<Value, Box<dyn Error>> {
        let mut response = answer.map_err(|error| self.no_answer(&error))?;
        let text = response.body_mut().read_to_string()?;
        let json: Value = serde_json::from_str(&text)
            .map_err(|_| format!("{} answers {} without JSON", self.address, response.status()))?;
        if response.status().is_success() {
            return Ok(json);
        }
        let part = |name: &str| json[name].as_str().unwrap_or("?").to_owned();
        Err(format!("{}: {}", part("error"), part("message")).into())
    }
}

fn print_members(Members { index, committed, members }: &Members) {
    let rows = members.iter().map(|member| {
        let suffrage = match member.suffrage {
            Suffrage::Voter => "voter",
            Suffrage::Nonvoter => "nonvoter",
        };
        let leads = if member.leader { "leads" } else { "" };
        [member.id.as_str(), &member.address, suffrage, leads]
    });
    print!("{}", table(["ID", "ADDRESS", "SUFFRAGE", ""], rows));
    println!("as of entry {index}{}", if *committed { "" } else { ", not known to be committed" });
}

/// One aligned row a line.
fn table<'a, const N: usize>(head: [&'a str; N], rows: impl Iterator<Item = [&'a str; N]>) -> String {
    let rows: Vec<[&str; N]> = [head].into_iter().chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.into_iter().zip(widths) {
            line += &format!("{cell:<width$}  ");
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// A name as one segment of a path.
fn escaped(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}
