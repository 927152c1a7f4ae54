//! `kv ctl`: what an operator asks of a running cluster, through the HTTP of any node. Prints tables; an error is
//! one line and a status that is not zero.

use std::{error::Error, time::Duration};

use clap::{Args, Subcommand};
use raftix::{Status, inspect::MailboxReport, types::Suffrage};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use ureq::{
    Agent, Body, RequestExt,
    http::{Method, Request, Response},
};

/// Longer than any request takes that a node gives up by itself.
const TIMEOUT: Duration = Duration::from_secs(60);

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
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .timeout_global(Some(TIMEOUT));
        Self { agent: config.build().into(), address }
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Box<dyn Error>> {
        Ok(serde_json::from_value(self.send(Method::GET, path, None)?)?)
    }

    fn send(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, Box<dyn Error>> {
        let request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        let response = match body {
            Some(body) => request.body(body.to_string())?.with_agent(&self.agent).run(),
            None => request.body(())?.with_agent(&self.agent).run(),
        };
        let mut response: Response<Body> =
            response.map_err(|error| format!("no answer from {}: {error}", self.address))?;
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
