//! Requests that went round in circles, and connections that left something behind.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use raftix::{
    transport::{
        Identity, Inbound, Responder, Transport,
        tcp::{TcpOptions, TcpTransport},
    },
    types::{ClusterId, ForwardApply, ForwardedResult, GroupId, Incarnation, Lane, Request, Response},
    wire::{Handshake, Verdict},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Builder,
    task::LocalSet,
    time::{sleep, timeout},
};

use crate::support::{Puppet, Put, Stage, ms, secs, simulate};

fn forwarded(command: &str) -> Request {
    let command = Bytes::from(rmp_serde::to_vec(&Put::from(command)).unwrap());
    Request::ForwardApply(ForwardApply { commands: vec![command.into()], timeout_ms: 200 })
}

fn passed_on(puppet: &Puppet) -> usize {
    puppet.kept().iter().filter(|(request, _)| matches!(request, Request::ForwardApply(_))).count()
}

/// `n1` follows `n2`, and is taken for the leader: by a follower that is behind, and by `n2` itself.
#[test]
fn regress_g7_a_forwarded_command_is_not_forwarded_again() {
    simulate(async {
        let stage = Stage::new().await;
        assert!(stage.n2.heartbeat(2).await.follows);
        stage.n2.append(2, (1, 1), crate::support::entries(2, 2, &["a"]), 2).await;
        for puppet in [&stage.n3, &stage.n2] {
            let Ok(Response::ForwardApply(answer)) = puppet.ask(forwarded("x")).await else {
                panic!("no answer")
            };
            assert_eq!(answer.results, [ForwardedResult::NotLeader { leader: Some("n2".into()) }]);
        }
        assert_eq!((passed_on(&stage.n2), passed_on(&stage.n3)), (0, 0));
        let held = stage.world.apply(0, "own");
        let asked = async {
            sleep(ms(5)).await;
            passed_on(&stage.n2)
        };
        let (asked, _) = futures::future::join(asked, timeout(ms(50), held)).await;
        assert_eq!(asked, 1, "a client's own is forwarded");
    });
}

struct Listening;

impl Inbound for Listening {
    fn deliver(&self, _: &Identity, _: Request, _: Responder) {}

    fn identity(&self) -> Identity {
        Identity { id: "n1".into(), cluster: ClusterId(7), group: GroupId::ZERO, incarnation: Incarnation(1) }
    }
}

/// Connects as `n2` would, and goes at once.
async fn come_and_go(address: &str) -> Option<Verdict> {
    let hello = Handshake {
        versions: Handshake::VERSIONS,
        lane: Lane::Control,
        verdict: None,
        cluster: ClusterId(7),
        group: GroupId::ZERO,
        node: "n2".into(),
        incarnation: Incarnation(2),
        target: "n1".into(),
        features: 0,
    };
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&hello.encode()).await.unwrap();
    let mut reply = vec![0; hello.encode().len()];
    stream.read_exact(&mut reply).await.unwrap();
    Handshake::decode(Bytes::from(reply)).unwrap().verdict
}

/// There is room for two connections, and a connection gives its place back at the end of its task.
#[test]
fn regress_g9_reconnecting_a_thousand_times_takes_no_more_room_than_once() {
    let mut options = TcpOptions::new("127.0.0.1:0");
    options.connections_max = 2;
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let test = async {
        let mut transport = TcpTransport::new(options);
        let address = transport.start(Arc::new(Listening)).unwrap();
        for _ in 0..1000 {
            while come_and_go(&address).await != Some(Verdict::Ok) {
                sleep(Duration::from_millis(1)).await;
            }
        }
        transport.stop();
    };
    let test = async { timeout(secs(30), test).await.expect("there is always room") };
    LocalSet::new().block_on(&runtime, test);
}
