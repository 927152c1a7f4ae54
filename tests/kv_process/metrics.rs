//! What Prometheus gets from every node of a cluster.

use std::collections::BTreeMap;

use crate::support::{Cluster, eventually};

/// The values of a scrape, by name and labels.
fn scrape(cluster: &Cluster, node: usize) -> BTreeMap<String, f64> {
    let reply = cluster[node].client.get("/metrics").unwrap();
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.content_type, "text/plain; version=0.0.4; charset=utf-8");
    let text = String::from_utf8(reply.body).unwrap();
    let values = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    values
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("{line}")))
        })
        .collect()
}

#[test]
fn every_node_tells_prometheus_what_it_does_and_how_long_that_takes() {
    let cluster = Cluster::start(3);
    for n in 0..20 {
        cluster.write(0, &format!("/kv/k{n}"), b"value");
    }
    let leader = cluster.leader();
    let names: Vec<String> = (1..=3).map(|n| format!("n{n}")).collect();
    let leading = format!("raftix_role{{node=\"{}\",role=\"leader\"}}", names[leader]);
    for (node, name) in names.iter().enumerate() {
        let of = |what: &str| format!("raftix_{what}{{node=\"{name}\"}}");
        eventually("what was written shows", || {
            let seen = scrape(&cluster, node);
            (seen.get(&of("entries_applied_total"))? >= &21.0).then_some(())
        });
        let seen = scrape(&cluster, node);
        assert_eq!((seen[&of("up")], seen[&of("voters")]), (1.0, 3.0));
        assert_eq!(seen.contains_key(&leading), node == leader, "each tells of itself alone: {name}");
        assert!(seen[&of("applied_index")] >= 21.0);
        assert!(seen[&of("appended_bytes_total")] > 20.0 * 5.0);
        for duration in ["flush_seconds", "apply_seconds"] {
            assert!(seen[&of(&format!("{duration}_count"))] >= 1.0, "{duration}");
            assert!(seen[&of(&format!("{duration}_sum"))] > 0.0, "{duration}");
        }
        for part in ["thread", "fsm", "log"] {
            let ratio = seen[&of(&format!("{part}_saturation_ratio"))];
            assert!((0.0..=1.0).contains(&ratio), "{part}: {ratio}");
        }
    }
    eventually("the leader to say so", || (scrape(&cluster, leader)[&leading] == 1.0).then_some(()));
    let seen = scrape(&cluster, leader);
    assert!(seen[&format!("raftix_commit_seconds_count{{node=\"{}\"}}", names[leader])] >= 1.0);
    for peer in names.iter().filter(|peer| **peer != names[leader]) {
        for what in ["append", "heartbeat"] {
            let count = format!(
                "raftix_{what}_round_trip_seconds_count{{node=\"{}\",peer=\"{peer}\"}}",
                names[leader]
            );
            assert!(seen.get(&count).is_some_and(|count| *count >= 1.0), "{count}");
        }
    }
    assert_eq!(cluster[0].client.post("/metrics", "").unwrap().status, 405);
}
