//! Damage, silence and ends: what the callers are told, and that the link goes on.

use super::*;
use crate::types::{Term, TimeoutNowResponse};

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
fn an_answer_of_another_kind_closes_the_connection() {
    local(async {
        let (one, _node, _) = start(options(), "n1");
        let listener = Listener::bind("127.0.0.1:0").await.unwrap();
        let link = one.link(&"n2".into(), &listener.local_addr().unwrap().to_string(), Lane::Control);
        let answers = Arc::<Answers>::default();
        answers.request(&*link, 5, ask(5));
        let mut stream = accept(&listener).await;
        let (id, _) = next_frame(&mut stream, &mut BytesMut::new()).await;
        let other = Response::TimeoutNow(TimeoutNowResponse { term: Term(1), accepted: true });
        let answer = frame(|out| wire::encode_response(out, id, &other, FrameLimits::default()).unwrap());
        stream.write_all(&answer).await.unwrap();
        assert!(matches!(answers.wait(1).await.remove(0).1, Err(RpcError::Lost(_))));
    });
}

#[test]
fn one_slow_answer_holds_up_no_other() {
    local(async {
        let (one, _node, _) = start(TcpOptions { requests_in_flight_max: 8, ..options() }, "n1");
        let (_two, slow, address) = start(options(), "n2");
        let link = one.link(&"n2".into(), &address, Lane::Forward);
        let (first, rest) = (Arc::<Answers>::default(), Arc::<Answers>::default());
        slow.behave(Manner::Keep);
        first.request(&*link, 1, ask(1));
        slow.arrivals(1).await;
        slow.behave(Manner::Answer);
        for number in 0..100 {
            assert_eq!(rest.ask(&*link, number).await, Ok(number));
        }
        drop(slow.kept());
        assert_eq!(first.wait(1).await.remove(0).1.unwrap_err(), RpcError::Dropped);
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
            let commands = vec![command.freeze().into()];
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
fn a_peer_that_does_not_read_its_answers_is_let_go() {
    local(async {
        let patient = TcpOptions {
            write_buffer_bytes_max: 1 << 20,
            silence_max: Duration::from_secs(600),
            ..options()
        };
        let (_one, node, address) = start(patient, "n1");
        node.behave(Manner::Keep);
        let mut stream = connect(&address).await;
        for id in 0..20 {
            stream.write_all(&request_frame(id)).await.unwrap();
        }
        node.arrivals(20).await;
        let large = ForwardedResult::Applied { at: LogId::ZERO, reply: vec![7; 4 << 20].into() };
        for (_, responder) in node.kept() {
            let results = vec![large.clone()];
            responder.respond(Ok(Response::ForwardApply(ForwardApplyResponse { results })));
            sleep(Duration::from_millis(2)).await;
        }
        // Nothing is read; only writing shows that the other side has gone.
        while stream.write_all(&request_frame(99)).await.is_ok() {
            sleep(Duration::from_millis(1)).await;
        }
    });
}
