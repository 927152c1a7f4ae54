//! One connection of one client, kept alive. A request is sent once: a library that repeats it where the answer did
//! not come would write twice, and no history would know.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// Longer than any request may take, so that one without an answer is a failure and not a hang.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The largest body that is believed, in bytes.
const BODY_BYTES_MAX: usize = 1 << 20;

/// To one node.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    address: String,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// Whether the node wants no further request on this connection.
    pub(crate) is_last: bool,
}

impl Connection {
    pub(crate) fn open(address: &str) -> io::Result<Self> {
        let to: SocketAddr = address.parse().map_err(io::Error::other)?;
        let stream = TcpStream::connect_timeout(&to, TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Self { stream: BufReader::new(stream), address: address.to_owned() })
    }

    /// Sends a request and waits for its answer. After an error nobody knows what became of it, and the connection is
    /// of no more use.
    pub(crate) fn exchange(&mut self, method: &str, path: &str, body: &[u8]) -> io::Result<Answer> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        self.stream.get_mut().write_all(&[head.as_bytes(), body].concat())?;
        let status = status(&self.line()?)?;
        let (mut length, mut is_last) = (0, false);
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            match (name.to_ascii_lowercase().as_str(), value.trim()) {
                ("content-length", value) => length = value.parse().map_err(io::Error::other)?,
                ("connection", value) => is_last = value.eq_ignore_ascii_case("close"),
                ("transfer-encoding", value) => return Err(malformed(value)),
                _ => {}
            }
        }
        if length > BODY_BYTES_MAX {
            return Err(malformed(&format!("{length} bytes")));
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(Answer { status, body, is_last })
    }

    /// A line of the head, without its end.
    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}

fn status(line: &str) -> io::Result<u16> {
    line.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(|| malformed(line))
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not an answer: {what}"))
}
