//! Who is let in, by whom, and for how long.

use super::*;

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
fn a_node_that_gets_its_cluster_is_soon_seen_in_it() {
    local(async {
        let (one, blank, _) = start(options(), "n1");
        let (_two, node, address) = start(options(), "n2");
        blank.join(0);
        let link = one.link(&"n2".into(), &address, Lane::Control);
        let answers = Arc::<Answers>::default();
        for cluster in [0, 7] {
            blank.join(cluster);
            loop {
                let _ = answers.ask(&*link, 1).await;
                if node.take_arrived().iter().any(|(from, _)| from.cluster == ClusterId(cluster)) {
                    break;
                }
                sleep(Duration::from_millis(5)).await;
            }
        }
    });
}

#[test]
fn a_node_that_joins_another_cluster_leaves_its_old_callers() {
    local(async {
        let (_one, node, address) = start(options(), "n1");
        let mut stream = connect(&address).await;
        node.join(8);
        assert!(is_closed(&mut stream).await);
        assert_eq!(try_connect(&address).await.1, Verdict::WrongCluster);
    });
}
