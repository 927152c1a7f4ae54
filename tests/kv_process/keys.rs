//! What is written is what is read, to the byte, and what makes no sense is refused with a reason.

use serde_json::json;
use ureq::http::Method;

use crate::support::{Client, Cluster, encode, eventually};

const MIB: usize = 1 << 20;

#[test]
fn every_byte_may_stand_in_a_key_and_in_a_value() {
    let cluster = Cluster::start(3);
    let (writer, reader) = (&cluster[0].client, &cluster[1].client);
    let all: Vec<u8> = (0..=255).collect();
    let mut keys: Vec<Vec<u8>> = all.iter().map(|byte| vec![*byte]).collect();
    keys.extend([all.clone(), all.repeat(16), b"a/b".to_vec(), b"a%2Fb".to_vec(), b"a+b".to_vec()]);
    keys.extend([b"a b".to_vec(), b"..".to_vec(), b"a/cas".to_vec(), b"//".to_vec()]);
    for (n, key) in keys.iter().enumerate() {
        let value = [&all[..], &n.to_be_bytes()].concat();
        let reply = writer.put(&format!("/kv/{}", encode(key)), &value).unwrap();
        assert_eq!(reply.status, 200, "{key:?}: {reply:?}");
    }
    for (n, key) in keys.iter().enumerate() {
        let value = [&all[..], &n.to_be_bytes()].concat();
        let reply = reader.get(&format!("/kv/{}", encode(key))).unwrap();
        reply.assert_ok(&value);
        assert_eq!(reply.content_type, "application/octet-stream");
    }
    // Written plainly, a plus is a plus, and the case of an escape does not matter.
    reader.get("/kv/a+b").unwrap().assert_ok(&reader.get("/kv/a%2bb").unwrap().body);
    assert_ne!(reader.get("/kv/%20").unwrap().body, reader.get("/kv/+").unwrap().body);
}

#[test]
fn values_of_no_byte_and_of_a_mebibyte_are_exact_and_larger_ones_are_refused() {
    let cluster = Cluster::start(3);
    let (writer, reader) = (&cluster[1].client, &cluster[2].client);
    let large: Vec<u8> = (0..MIB).map(|n| (n * 31 + n / 251) as u8).collect();
    for value in [&b""[..], &large] {
        assert_eq!(writer.put("/kv/v", value).unwrap().status, 200);
        reader.get("/kv/v").unwrap().assert_ok(value);
    }
    let too_large = vec![7; MIB + 1];
    writer.put("/kv/v", &too_large).unwrap().assert_error(413, "too_large");
    reader.get("/kv/v").unwrap().assert_ok(&large);

    // Each character takes JSON six bytes: the limit is on the value, not on how it is written.
    let escaped = "\u{1}".repeat(MIB);
    let line = json!({ "key": "escaped", "value": escaped }).to_string();
    writer.post("/load", &line).unwrap().assert_json(json!({ "applied": 1 }));
    reader.get("/kv/escaped").unwrap().assert_ok(escaped.as_bytes());
    let swap = json!({ "expect": escaped, "value": "small" });
    writer.post("/kv/escaped/cas", swap.to_string()).unwrap().assert_json(json!({ "swapped": true }));
    let line = json!({ "key": "v", "value": "x".repeat(MIB + 1) }).to_string();
    writer.post("/load", &line).unwrap().assert_error(413, "too_large");
    let swap = json!({ "expect": null, "value": "x".repeat(MIB + 1) });
    writer.post("/kv/w/cas", swap.to_string()).unwrap().assert_error(413, "too_large");
}

/// A cluster of one, for what needs no other node.
fn single() -> (Cluster, Client) {
    let cluster = Cluster::start(1);
    let client = cluster[0].client.clone();
    (cluster, client)
}

#[test]
fn a_swap_happens_only_if_the_value_is_the_expected_one() {
    let (_cluster, client) = single();
    let swap = |expect: Option<&str>, value: &str| {
        let reply =
            client.post("/kv/k/cas", json!({ "expect": expect, "value": value }).to_string()).unwrap();
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()["swapped"].as_bool().unwrap()
    };
    assert!(!swap(Some("a"), "b"), "there is no such key");
    assert!(swap(None, ""), "there was no such key");
    assert!(!swap(None, "b"), "an empty value is a value");
    assert!(swap(Some(""), "b"));
    assert!(!swap(Some("a"), "c"));
    client.get("/kv/k").unwrap().assert_ok(b"b");
    assert_eq!(client.delete("/kv/k").unwrap().status, 200);
    client.get("/kv/k").unwrap().assert_error(404, "not_found");
    assert!(swap(None, "again"));
}

#[test]
fn of_swaps_that_race_through_all_nodes_one_wins() {
    let cluster = Cluster::start(3);
    let won: usize = std::thread::scope(|scope| {
        let race = |n: usize| {
            let client = cluster[n % 3].client.clone();
            let body = json!({ "expect": null, "value": n.to_string() }).to_string();
            scope.spawn(move || client.post("/kv/prize/cas", body).unwrap().json()["swapped"] == true)
        };
        let racers: Vec<_> = (0..9).map(race).collect();
        racers.into_iter().filter_map(|racer| racer.join().unwrap().then_some(())).count()
    });
    assert_eq!(won, 1);
}

#[test]
fn requests_that_make_no_sense_are_refused_with_a_reason() {
    let (_cluster, client) = single();
    assert_eq!(client.put("/kv/a", b"1").unwrap().status, 200);
    let long = "k".repeat(4097);
    for path in ["/kv/", "/kv/%zz", "/kv/%2", "/kv/%", &format!("/kv/{long}")] {
        client.get(path).unwrap().assert_error(400, "bad_input");
        client.put(path, b"v").unwrap().assert_error(400, "bad_input");
    }
    for query in ["read=newest", "read=", "read", "raed=stale", "read=stale&read=stale", "read=stale&x=1"] {
        client.get(&format!("/kv/a?{query}")).unwrap().assert_error(400, "bad_input");
    }
    for path in ["/kv/a?read=stale", "/kv/a?x"] {
        client.put(path, b"2").unwrap().assert_error(400, "bad_input");
        client.delete(path).unwrap().assert_error(400, "bad_input");
    }
    client.get("/status?verbose=1").unwrap().assert_error(400, "bad_input");
    for body in [
        &b"not json"[..],
        br#"{"value": "b"}"#,
        br#"{"expect": "1"}"#,
        br#"{"expect": 1, "value": "b"}"#,
        br#"{"expect": "1", "value": "b", "ttl": 3}"#,
        b"{\"expect\": null, \"value\": \"\xff\"}",
        b"",
    ] {
        client.post("/kv/a/cas", body).unwrap().assert_error(400, "bad_input");
    }
    client.get("/kv/a").unwrap().assert_ok(b"1");
    client.get("/kv/a?read=linearizable").unwrap().assert_ok(b"1");
}

#[test]
fn unknown_paths_and_wrong_methods_are_answered_in_json() {
    let (_cluster, client) = single();
    for path in ["/", "/kv", "/kv/a/b", "/kv/a/cas/b", "/statuses"] {
        client.get(path).unwrap().assert_error(404, "unknown_route");
    }
    let wrong = |method: Method, path: &str| {
        let body = matches!(method, Method::POST | Method::PUT).then_some(&b"x"[..]);
        client.request(method, path, body).unwrap().assert_error(405, "method_not_allowed");
    };
    wrong(Method::POST, "/kv/a");
    wrong(Method::GET, "/kv/a/cas");
    wrong(Method::GET, "/load");
    wrong(Method::PUT, "/status");
    wrong(Method::DELETE, "/ready");
    wrong(Method::POST, "/mailboxes");
}

#[test]
fn a_load_stops_at_the_first_bad_line_and_counts_what_is_applied() {
    let (_cluster, client) = single();
    let line = |n: usize| json!({ "key": format!("k{n}"), "value": format!("v{n}") }).to_string() + "\n";
    let good = |range: std::ops::Range<usize>| range.map(line).collect::<String>();
    for (bad, status, code) in [
        ("{\"key\": \"k\"}\n", 400, "bad_input"),
        ("\n", 400, "bad_input"),
        ("{\"key\": \"\", \"value\": \"v\"}\n", 400, "bad_input"),
        ("{\"key\": \"a\", \"value\": \"v\", \"x\": 1}\n", 400, "bad_input"),
        (&json!({ "key": "k", "value": "x".repeat(MIB + 1) }).to_string(), 413, "too_large"),
        (&"x".repeat(7 * MIB), 413, "too_large"),
    ] {
        let reply = client.post("/load", good(0..2500) + bad + "\n" + &good(9000..9003)).unwrap();
        reply.assert_error(status, code);
        assert_eq!(reply.json()["applied"], 2500, "{reply:?}");
    }
    client.get("/kv/k2499").unwrap().assert_ok(b"v2499");
    client.get("/kv/k9000").unwrap().assert_error(404, "not_found");
    client.post("/load", "").unwrap().assert_json(json!({ "applied": 0 }));
    client.post("/load", line(1).trim_end()).unwrap().assert_json(json!({ "applied": 1 }));
    client.post("/load", line(2).replace('\n', "\r\n")).unwrap().assert_json(json!({ "applied": 1 }));
}

#[test]
fn a_node_says_what_it_is() {
    let cluster = Cluster::start(3);
    cluster.write(0, "/kv/a", b"1");
    let leader = cluster.leader();
    for node in &cluster.nodes {
        let status = eventually("the node has applied the write", || {
            node.client.status().filter(|status| status["applied_index"].as_u64() >= Some(2))
        });
        let role = if node.id == cluster[leader].id { "leader" } else { "follower" };
        assert_eq!(status["id"], *node.id);
        assert_eq!(status["role"], role);
        assert_eq!(status["leader"], *cluster[leader].id);
        assert_eq!(status["voters"], json!(["n1", "n2", "n3"]));
        for number in ["term", "commit_index", "applied_index", "last_index"] {
            assert!(status[number].as_u64() > Some(0), "{number} of {status}");
        }
        assert_eq!(node.client.get("/health").unwrap().status, 200);
        // Which of the two depends on how the example was built.
        let mailboxes = node.client.get("/mailboxes").unwrap();
        match mailboxes.status {
            200 => assert!(mailboxes.json().is_object(), "{mailboxes:?}"),
            _ => mailboxes.assert_error(404, "inspection_disabled"),
        }
    }
}
