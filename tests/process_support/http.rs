//! A client of one node.

use std::{fmt, time::Duration};

use serde_json::{Value, json};
use ureq::{
    Agent, Body,
    http::{Method, Request, Response},
};

/// Longer than any request may take, so that a request without an answer is a failure and not a hang.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Talks to one node; keeps its connections.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    agent: Agent,
    address: String,
}

/// An answer, whatever its status.
#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

impl Client {
    /// A client of the node that listens on `address` (`host:port`).
    pub(crate) fn new(address: impl Into<String>) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .timeout_global(Some(TIMEOUT));
        Self { agent: config.build().into(), address: address.into() }
    }

    /// Sends any request; an error means that there was no answer.
    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&[u8]>,
    ) -> Result<Reply, ureq::Error> {
        let request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        self.answer(match body {
            Some(body) => self.agent.run(request.body(body).unwrap())?,
            None => self.agent.run(request.body(()).unwrap())?,
        })
    }

    fn answer(&self, mut response: Response<Body>) -> Result<Reply, ureq::Error> {
        let content_type = response.headers().get("content-type").map_or("", |text| text.to_str().unwrap());
        Ok(Reply {
            status: response.status().as_u16(),
            content_type: content_type.to_owned(),
            body: response.body_mut().read_to_vec()?,
        })
    }

    pub(crate) fn get(&self, path: &str) -> Result<Reply, ureq::Error> {
        self.request(Method::GET, path, None)
    }

    pub(crate) fn put(&self, path: &str, body: &[u8]) -> Result<Reply, ureq::Error> {
        self.request(Method::PUT, path, Some(body))
    }

    pub(crate) fn delete(&self, path: &str) -> Result<Reply, ureq::Error> {
        self.request(Method::DELETE, path, None)
    }

    pub(crate) fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Result<Reply, ureq::Error> {
        self.request(Method::POST, path, Some(body.as_ref()))
    }

    /// A write of one key with the header `Idempotency-Key`.
    pub(crate) fn put_once(&self, path: &str, body: &[u8], key: &str) -> Result<Reply, ureq::Error> {
        let request = Request::builder().method(Method::PUT).uri(format!("http://{}{path}", self.address));
        self.answer(self.agent.run(request.header("Idempotency-Key", key).body(body).unwrap())?)
    }

    /// Loads `pairs` of keys and values with one request.
    pub(crate) fn load<'a>(
        &self,
        pairs: impl IntoIterator<Item = &'a (String, String)>,
    ) -> Result<Reply, ureq::Error> {
        let mut lines = String::new();
        for (key, value) in pairs {
            lines += &json!({ "key": key, "value": value }).to_string();
            lines.push('\n');
        }
        self.post("/load", lines)
    }

    /// What the node says of itself, if it answers.
    pub(crate) fn status(&self) -> Option<Value> {
        self.get("/status").ok().map(|reply| reply.json())
    }
}

impl Reply {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The error's code; empty if it is no error.
    pub(crate) fn code(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }

    /// Checks that this is an error as documented: status, code, JSON with a message.
    #[track_caller]
    pub(crate) fn assert_error(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.content_type, "application/json", "{self:?}");
        let json = self.json();
        assert_eq!(json["error"], code, "{self:?}");
        assert!(json["message"].as_str().is_some_and(|message| !message.is_empty()), "{self:?}");
    }

    /// Checks that this succeeded with this body.
    #[track_caller]
    pub(crate) fn assert_ok(&self, body: &[u8]) {
        assert_eq!(self.status, 200, "{self:?}");
        assert!(self.body == body, "not the {} bytes expected: {self:?}", body.len());
    }

    /// Checks that this succeeded with this JSON.
    #[track_caller]
    pub(crate) fn assert_json(&self, expected: Value) {
        assert_eq!(self.status, 200, "{self:?}");
        assert_eq!(self.json(), expected);
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.body[..self.body.len().min(300)];
        write!(f, "{} {:?} ({} bytes)", self.status, String::from_utf8_lossy(shown), self.body.len())
    }
}

/// `bytes` as a path segment, every one of them escaped.
pub(crate) fn encode(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("%{byte:02X}")).collect()
}
