//! What only TCP can get wrong: handshakes, limits, damage, silence. The other side is often a bare
//! socket that does as it likes.

mod handshakes;
mod losses;

use std::{future::Future, time::Duration};

use bytes::{BufMut, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener as Listener, TcpStream},
    task::LocalSet,
    time::{Instant, sleep, timeout},
};

use super::*;
use crate::{
    transport::{
        RpcError,
        conformance::node::{Answers, Manner, Node, ask, echo},
    },
    types::{ClusterId, ForwardApplyResponse, ForwardedResult, GroupId, Incarnation, LogId, Response},
    wire::{self, FrameLimits, Handshake, Message, Outgoing, Verdict},
};

fn local<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async { timeout(Duration::from_secs(10), test).await.unwrap() })
}

/// Options whose waits suit a test.
fn options() -> TcpOptions {
    TcpOptions {
        handshake_timeout: Duration::from_millis(100),
        reconnect_max: Duration::from_millis(40),
        silence_max: Duration::from_millis(200),
        ..TcpOptions::new("127.0.0.1:0")
    }
}

fn start(options: TcpOptions, id: &str) -> (TcpTransport, Arc<Node>, String) {
    let mut transport = TcpTransport::new(options);
    let node = Node::new(id, 7);
    let address = transport.start(node.clone()).unwrap();
    (transport, node, address)
}

fn hello(node: &str, target: &str, verdict: Option<Verdict>) -> Handshake {
    Handshake {
        versions: Handshake::VERSIONS,
        lane: Lane::Control,
        verdict,
        cluster: ClusterId(7),
        group: GroupId(0),
        node: node.into(),
        incarnation: Incarnation(1),
        target: target.into(),
        features: 0,
    }
}

/// Connects to the node `n1` at `address` as `n2` would.
async fn connect(address: &str) -> TcpStream {
    let (stream, verdict) = try_connect(address).await;
    assert_eq!(verdict, Verdict::Ok);
    stream
}

async fn try_connect(address: &str) -> (TcpStream, Verdict) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&hello("n2", "n1", None).encode()).await.unwrap();
    let reply = greeting::read(&mut stream).await.unwrap();
    (stream, reply.verdict.unwrap())
}

/// Takes the place of node `n2` for the next caller.
async fn accept(listener: &Listener) -> TcpStream {
    let (mut stream, _) = listener.accept().await.unwrap();
    let asked = greeting::read(&mut stream).await.unwrap();
    assert_eq!((asked.node, asked.target), ("n1".into(), "n2".into()));
    stream.write_all(&hello("n2", "n1", Some(Verdict::Ok)).encode()).await.unwrap();
    stream
}

fn frame(encode: impl FnOnce(&mut Outgoing)) -> Vec<u8> {
    let mut out = Outgoing::new();
    encode(&mut out);
    let mut pieces = std::collections::VecDeque::new();
    out.drain_into(&mut pieces);
    pieces.into_iter().flatten().collect()
}

fn request_frame(id: u64) -> Vec<u8> {
    frame(|out| wire::encode_request(out, id, &ask(id), FrameLimits::default()).unwrap())
}

async fn next_frame(stream: &mut TcpStream, bytes: &mut BytesMut) -> (u64, Message) {
    loop {
        if let Some((id, _, message)) = wire::decode(bytes, FrameLimits::default()).unwrap() {
            return (id, message);
        }
        assert_ne!(stream.read_buf(bytes).await.unwrap(), 0, "a frame comes before the end");
    }
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.is_err() || rest.is_empty()
}

fn is_not_sent<T>(result: &Result<T, RpcError>) -> bool {
    matches!(result, Err(RpcError::NotSent(_)))
}

#[test]
fn tcp_keeps_the_contract() {
    local(crate::transport::conformance::run(|at| {
        TcpTransport::new(TcpOptions::new(at.unwrap_or("127.0.0.1:0")))
    }));
}

#[test]
fn links_to_one_lane_share_a_connection() {
    local(async {
        let (one, _node, _) = start(options(), "n1");
        let listener = Listener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let answers = Arc::<Answers>::default();
        let first = one.link(&"n2".into(), &address, Lane::Control);
        let second = one.link(&"n2".into(), &address, Lane::Control);
        answers.request(&*first, 1, ask(1));
        answers.request(&*second, 2, ask(2));
        let mut stream = accept(&listener).await;
        let mut bytes = BytesMut::new();
        assert_eq!(next_frame(&mut stream, &mut bytes).await.0, 0);
        assert_eq!(next_frame(&mut stream, &mut bytes).await.0, 1);
    });
}

#[test]
fn a_full_write_buffer_and_a_full_window_refuse_at_once() {
    local(async {
        let full = [
            (TcpOptions { write_buffer_bytes_max: 1, ..options() }, "buffer is full"),
            (TcpOptions { requests_in_flight_max: 1, ..options() }, "too many requests"),
        ];
        for (limits, why) in full {
            let (one, _node, _) = start(limits, "n1");
            let answers = Arc::<Answers>::default();
            let link = one.link(&"n2".into(), "127.0.0.1:1", Lane::Control);
            answers.request(&*link, 1, ask(1));
            answers.request(&*link, 2, ask(2));
            let (id, result) = answers.taken().remove(0);
            assert!(id == 2 && is_not_sent(&result) && format!("{result:?}").contains(why), "{result:?}");
        }
    });
}

#[test]
fn a_dropped_link_answers_what_waits() {
    local(async {
        let (one, _node, _) = start(options(), "n1");
        let answers = Arc::<Answers>::default();
        let link = one.link(&"n2".into(), "127.0.0.1:1", Lane::Control);
        answers.request(&*link, 1, ask(1));
        drop(link);
        assert!(is_not_sent(&answers.wait(1).await.remove(0).1));
    });
}

#[test]
fn pauses_grow_to_their_limit_and_stay_jittered() {
    let shared = Shared::new(TcpOptions { seed: 3, ..options() });
    let again = Shared::new(TcpOptions { seed: 3, ..options() });
    let pause = Duration::from_millis(100);
    for _ in 0..100 {
        let jittered = shared.jitter(pause);
        assert!(pause / 2 <= jittered && jittered <= pause);
        assert_eq!(jittered, again.jitter(pause), "one seed, one run");
    }
}

#[test]
fn a_pausing_link_answers_at_once_and_does_not_storm() {
    local(async {
        let (one, _node, _) = start(options(), "n1");
        let listener = Listener::bind("127.0.0.1:0").await.unwrap();
        let link = one.link(&"n2".into(), &listener.local_addr().unwrap().to_string(), Lane::Control);
        let answers = Arc::<Answers>::default();
        let begun = Instant::now();
        let (mut attempts, mut refused) = (0, 0);
        while attempts < 5 {
            answers.request(&*link, 1, ask(1));
            tokio::select! {
                biased;
                (_, result) = async { answers.wait(1).await.remove(0) } => {
                    assert!(is_not_sent(&result), "{result:?}");
                    refused += 1;
                    sleep(Duration::from_millis(1)).await;
                }
                accepted = listener.accept() => {
                    let (mut stream, _) = accepted.unwrap();
                    stream.write_all(&hello("n3", "n1", Some(Verdict::Ok)).encode()).await.unwrap();
                    let (_, result) = answers.wait(1).await.remove(0);
                    assert!(format!("{result:?}").contains("expected node n2, found node n3"), "{result:?}");
                    attempts += 1;
                }
            }
        }
        // After a refusal a link pauses for at least half of 40 ms.
        assert!(begun.elapsed() >= Duration::from_millis(4 * 20), "{:?}", begun.elapsed());
        assert!(refused > 0);
    });
}

#[test]
fn a_host_is_looked_up_by_its_name() {
    local(async {
        let (one, _node, _) = start(options(), "n1");
        let (_two, _other, address) = start(options(), "n2");
        let named = address.replace("127.0.0.1", "localhost");
        let link = one.link(&"n2".into(), &named, Lane::Control);
        assert_eq!(Arc::<Answers>::default().ask(&*link, 1).await, Ok(1));
    });
}
