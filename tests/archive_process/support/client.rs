//! A client of one node: a line there, a line of JSON back.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;

/// Longer than any answer takes.
const TIMEOUT: Duration = Duration::from_secs(180);

/// Talks to one node; connects when it has to.
#[derive(Debug)]
pub(crate) struct Client {
    address: String,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    pub(crate) fn new(address: &str) -> Self {
        Self { address: address.to_owned(), connection: None }
    }

    /// Sends a line with a blob behind it. An error is what the node says, or that it does not answer.
    pub(crate) fn ask(&mut self, line: &str, blob: &[u8]) -> Result<Value, String> {
        let answer = self.exchange(line, blob).map_err(|error| {
            self.connection = None;
            format!("no answer from {}: {error}", self.address)
        })?;
        match &answer["error"] {
            Value::Null => Ok(answer),
            error => Err(error.to_string()),
        }
    }

    fn exchange(&mut self, line: &str, blob: &[u8]) -> io::Result<Value> {
        if self.connection.is_none() {
            let stream = TcpStream::connect(&self.address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            self.connection = Some(BufReader::new(stream));
        }
        let Some(connection) = &mut self.connection else { unreachable!("it was just made") };
        connection.get_mut().write_all(&[line.as_bytes(), b"\n", blob].concat())?;
        let mut answer = String::new();
        connection.read_line(&mut answer)?;
        Ok(serde_json::from_str(&answer)?)
    }
}
