//! What only TCP can get wrong: handshakes, limits, damage, silence. The other side is often a bare
//! socket that does as it likes.

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
    types::{ClusterId, GroupId, Incarnation},
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
fn another_version_is_told_so_on_both_sides() {
    local(async {
        let (one, _node, address) = start(options(), "n1");
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let newer = Handshake { versions: (8, 9), ..hello("n2", "n1", None) };
        stream.write_all(&newer.encode()).await.unwrap();
        let reply = greeting::read(&mut stream).await.unwrap();
        assert_eq!((reply.verdict, reply.versions), (Some(Verdict::WrongVersion), Handshake::VERSIONS));
        assert!(is_closed(&mut stream).await);

        let listener = Listener::bind("127.0.0.1:0").await.unwrap();
        let link = one.link(&"n2".into(), &listener.local_addr().unwrap().to_string(), Lane::Control);
        let answers = Arc::<Answers>::default();
        answers.request(&*link, 1, ask(1));
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(&newer.encode()).await.unwrap();
        let (_, result) = answers.wait(1).await.remove(0);
        assert!(is_not_sent(&result) && format!("{result:?}").contains("versions 8 to 9"), "{result:?}");
    });
}

#[test]
fn another_magic_is_closed_without_a_word() {
    local(async {
        let (_one, _node, address) = start(options(), "n1");
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        assert!(is_closed(&mut stream).await);
    });
}

#[test]
fn the_wrong_target_and_the_wrong_cluster_are_refused_by_the_listener() {
    local(async {
        let (_one, _node, address) = start(options(), "n1");
        let stranger = Handshake { cluster: ClusterId(8), ..hello("n2", "n1", None) };
        let misled = hello("n2", "n9", None);
        for (wrong, verdict) in [(stranger, Verdict::WrongCluster), (misled, Verdict::WrongTarget)] {
            let mut stream = TcpStream::connect(&address).await.unwrap();
            stream.write_all(&wrong.encode()).await.unwrap();
            let reply = greeting::read(&mut stream).await.unwrap();
            assert_eq!((reply.verdict, reply.node), (Some(verdict), "n1".into()));
            assert!(is_closed(&mut stream).await);
        }
    });
}

#[test]
fn a_slow_handshake_is_cut_at_its_deadline() {
    local(async {
        let (_one, _node, address) = start(options(), "n1");
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let begun = Instant::now();
        for byte in hello("n2", "n1", None).encode() {
            if stream.write_all(&[byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(5)).await;
        }
        assert!(is_closed(&mut stream).await);
        assert!(begun.elapsed() < Duration::from_secs(2));
    });
}

#[test]
fn those_who_wait_to_shake_hands_do_not_keep_others_out_for_ever() {
    local(async {
        let (_one, _node, address) = start(TcpOptions { handshakes_max: 2, ..options() }, "n1");
        let mut idle = Vec::new();
        for _ in 0..6 {
            idle.push(TcpStream::connect(&address).await.unwrap());
        }
        connect(&address).await;
    });
}

#[test]
fn beyond_the_limit_of_connections_it_is_not_now() {
    local(async {
        let (_one, _node, address) = start(TcpOptions { connections_max: 2, ..options() }, "n1");
        let first = connect(&address).await;
        let _second = connect(&address).await;
        assert_eq!(try_connect(&address).await.1, Verdict::NotNow);
        drop(first);
        while try_connect(&address).await.1 != Verdict::Ok {
            sleep(Duration::from_millis(2)).await;
        }
    });
}

#[test]
fn the_oldest_connection_of_a_lane_gives_way() {
    local(async {
        let (_one, _node, address) = start(TcpOptions { connections_per_lane_max: 1, ..options() }, "n1");
        let mut first = connect(&address).await;
        let mut second = connect(&address).await;
        assert!(is_closed(&mut first).await);
        second.write_all(&request_frame(3)).await.unwrap();
        assert_eq!(next_frame(&mut second, &mut BytesMut::new()).await.0, 3);
    });
}

#[test]
fn damaged_and_oversized_frames_close_the_connection_and_no_more() {
    local(async {
        let (_one, node, address) = start(options(), "n1");
        let mut damaged = request_frame(3);
        *damaged.last_mut().unwrap() ^= 1;
        let mut oversized = request_frame(3);
        oversized[..4].fill(0xff);
        let answer = frame(|out| wire::encode_response(out, 3, &echo(3), FrameLimits::default()).unwrap());
        for bad in [damaged, oversized, answer, vec![0x55; 4096]] {
            let mut stream = connect(&address).await;
            stream.write_all(&bad).await.unwrap();
            assert!(is_closed(&mut stream).await);
        }
        assert!(node.arrivals(0).await.is_empty());
        let mut stream = connect(&address).await;
        stream.write_all(&request_frame(4)).await.unwrap();
        assert_eq!(next_frame(&mut stream, &mut BytesMut::new()).await.0, 4);
    });
}

#[test]
fn a_damaged_answer_loses_its_request_and_the_link_connects_again() {
    local(async {
        let (one, _node, _) = start(options(), "n1");
        let listener = Listener::bind("127.0.0.1:0").await.unwrap();
        let link = one.link(&"n2".into(), &listener.local_addr().unwrap().to_string(), Lane::Control);
        let answers = Arc::<Answers>::default();
        for damage in [1, 0] {
            let mut stream = loop {
                answers.request(&*link, 5, ask(5));
                tokio::select! {
                    biased;
                    stream = accept(&listener) => break stream,
                    // The link still pauses.
                    _ = answers.wait(1) => sleep(Duration::from_millis(2)).await,
                }
            };
            let (id, _) = next_frame(&mut stream, &mut BytesMut::new()).await;
            let limits = FrameLimits::default();
            let mut answer = frame(|out| wire::encode_response(out, id, &echo(5), limits).unwrap());
            *answer.last_mut().unwrap() ^= damage;
            stream.write_all(&answer).await.unwrap();
            let (_, result) = answers.wait(1).await.remove(0);
            match damage {
                0 => assert!(result.is_ok(), "{result:?}"),
                _ => assert!(
                    matches!(&result, Err(RpcError::Lost(why)) if why.contains("checksum")),
                    "{result:?}"
                ),
            }
        }
    });
}

#[test]
fn an_answer_nobody_asked_for_closes_the_connection() {
    local(async {
        let (one, _node, _) = start(options(), "n1");
        let listener = Listener::bind("127.0.0.1:0").await.unwrap();
        let link = one.link(&"n2".into(), &listener.local_addr().unwrap().to_string(), Lane::Control);
        let answers = Arc::<Answers>::default();
        answers.request(&*link, 5, ask(5));
        let mut stream = accept(&listener).await;
        let answer = frame(|out| wire::encode_response(out, 99, &echo(5), FrameLimits::default()).unwrap());
        stream.write_all(&answer).await.unwrap();
        let (_, result) = answers.wait(1).await.remove(0);
        assert!(matches!(&result, Err(RpcError::Lost(why)) if why.contains("nobody asked")), "{result:?}");
    });
}

#[test]
fn a_silent_peer_loses_its_requests_and_a_slow_one_does_not() {
    local(async {
        let (one, _node, _) = start(options(), "n1");
        let answers = Arc::<Answers>::default();
        // Shakes hands and never speaks again.
        let listener = Listener::bind("127.0.0.1:0").await.unwrap();
        let link = one.link(&"n2".into(), &listener.local_addr().unwrap().to_string(), Lane::Control);
        answers.request(&*link, 1, ask(1));
        let _silent = accept(&listener).await;
        let (_, result) = answers.wait(1).await.remove(0);
        assert!(matches!(&result, Err(RpcError::Lost(why)) if why.contains("silent")), "{result:?}");

        // Takes three times as long, and lives.
        let (_two, slow, address) = start(options(), "n2");
        slow.behave(Manner::Keep);
        let link = one.link(&"n2".into(), &address, Lane::Control);
        answers.request(&*link, 2, ask(2));
        slow.arrivals(1).await;
        sleep(Duration::from_millis(600)).await;
        let (number, responder) = slow.kept().remove(0);
        responder.respond(Ok(echo(number)));
        assert!(answers.wait(1).await.remove(0).1.is_ok());
    });
}

#[test]
fn what_was_partly_written_is_lost_and_what_was_not_is_not_sent() {
    local(async {
        let (one, _node, _) = start(TcpOptions { write_buffer_bytes_max: 64 << 20, ..options() }, "n1");
        let listener = Listener::bind("127.0.0.1:0").await.unwrap();
        let link = one.link(&"n2".into(), &listener.local_addr().unwrap().to_string(), Lane::Forward);
        let answers = Arc::<Answers>::default();
        let large = || {
            let mut command = BytesMut::new();
            command.put_bytes(7, 4 << 20);
            let commands = vec![command.freeze()];
            crate::types::Request::ForwardApply(crate::types::ForwardApply { commands, timeout_ms: 1 })
        };
        for id in 0..10 {
            answers.request(&*link, id, large());
        }
        let mut stream = accept(&listener).await;
        stream.read_u8().await.unwrap();
        drop(stream);
        let results = answers.wait(10).await;
        assert!(matches!(results[0], (0, Err(RpcError::Lost(_)))), "{:?}", results[0]);
        assert!(matches!(results[9], (9, Err(RpcError::NotSent(_)))), "{:?}", results[9]);
        let turn = results.iter().position(|(_, result)| is_not_sent(result)).unwrap();
        assert!(results[turn..].iter().all(|(_, result)| is_not_sent(result)));
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
