//! Every word of a large text goes in through one node and comes out of another, whatever happens between.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use crate::support::{Client, Cluster, encode, eventually, eventually_within};

/// Lines in one request: several batches, so that a killed leader leaves one half done.
const LINES: usize = 3000;
/// As many words as a debug build on a busy machine carries in once and out twice within seconds.
const WORDS_MAX: usize = 30_000;

#[test]
fn no_word_is_lost_to_a_killed_leader_or_to_a_restart() {
    let pairs = pairs();
    let mut cluster = Cluster::start(3);
    let leader = cluster.leader();
    let entrance = (leader + 1) % 3;
    let clients: Vec<Client> = (0..3).map(|n| cluster[(entrance + n) % 3].client.clone()).collect();

    let acknowledged = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| load_all(&clients, &pairs, &acknowledged));
        eventually_within(Duration::from_secs(60), "half of the words are in", || {
            (acknowledged.load(Ordering::Relaxed) >= pairs.len() / 2).then_some(())
        });
        let leader = cluster.leader();
        cluster[leader].kill();
    });
    assert_eq!(acknowledged.into_inner(), pairs.len());
    cluster.start_all();
    assert_all_there(&cluster, (entrance + 1) % 3, &pairs);

    for node in &mut cluster.nodes {
        assert!(node.terminate().success());
    }
    cluster.start_all();
    assert_all_there(&cluster, (entrance + 2) % 3, &pairs);
}

/// Loads through the first client that answers. A line is sent again until it is known to be applied: to set a key
/// twice is to set it once.
fn load_all(clients: &[Client], pairs: &[(String, String)], acknowledged: &AtomicUsize) {
    let mut clients = clients.iter().cycle();
    let mut client = clients.next().unwrap();
    let mut done = 0;
    while done < pairs.len() {
        let next = &pairs[done..pairs.len().min(done + LINES)];
        done += eventually("more words are acknowledged", || match client.load(next) {
            Ok(reply) => {
                let applied = reply.json()["applied"].as_u64().unwrap_or(0) as usize;
                assert!(reply.status != 200 || applied == next.len(), "{reply:?}");
                (applied > 0).then_some(applied)
            }
            Err(_) => {
                client = clients.next().unwrap();
                None
            }
        });
        acknowledged.store(done, Ordering::Relaxed);
    }
}

/// Reads every word from the node at `at`.
///
/// The first read is linearizable: behind it this node has applied everything that was acknowledged, and
/// the rest may be read as it stands.
fn assert_all_there(cluster: &Cluster, at: usize, pairs: &[(String, String)]) {
    let path = |word: &str| format!("/kv/{}", encode(word.as_bytes()));
    let (first, value) = &pairs[0];
    cluster.read(at, &path(first)).assert_ok(value.as_bytes());
    thread::scope(|scope| {
        for share in pairs.chunks(pairs.len().div_ceil(4)) {
            let client = cluster[at].client.clone();
            scope.spawn(move || {
                for (word, value) in share {
                    let reply = client.get(&format!("{}?read=stale", path(word))).unwrap();
                    assert!(reply.status == 200 && reply.body == value.as_bytes(), "{word}: {reply:?}");
                }
            });
        }
    });
}

/// The words of a text with a value each that no other word has.
fn pairs() -> Vec<(String, String)> {
    let text = text();
    let words = words(&text);
    assert!(words.len() > 1000, "too small a text: {} words", words.len());
    let value = |(n, word): (usize, &str)| (word.to_owned(), format!("{n} {}", word.to_uppercase()));
    words.into_iter().enumerate().map(value).collect()
}

fn words(text: &str) -> BTreeSet<&str> {
    text.split_whitespace().filter(|word| word.len() <= 200).collect()
}

/// The system's list of words, or the largest source file among this crate's dependencies that has no more
/// words than a debug build loads in a few seconds.
fn text() -> String {
    let dictionary = Path::new("/usr/share/dict/words");
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
    if let Ok(text) = fs::read_to_string(dictionary) {
        return text;
    }
    let mut files = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")];
    if let Some(home) = home {
        collect_sources(&home.join("registry").join("src"), 4, &mut files);
    }
    let size = |path: &PathBuf| fs::metadata(path).map_or(0, |about| about.len());
    files.sort_by_key(|path| (size(path), path.clone()));
    let read = |path: &PathBuf| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    files.iter().rev().map(read).find(|text| words(text).len() <= WORDS_MAX).expect("a text of that size")
}

fn collect_sources(directory: &Path, depth: u32, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && depth > 0 {
            collect_sources(&path, depth - 1, files);
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "txt") {
            files.push(path);
        }
    }
}
