//! Damage to a log is never passed over in silence, and a log that was cut short goes on from there.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    thread,
};

use crate::support::{Client, Cluster, Node, eventually};

const KEYS: usize = 200;

fn path(n: usize) -> String {
    format!("/kv/key-{n}")
}

fn value(n: usize) -> Vec<u8> {
    format!("value-{n}-").repeat(5).into_bytes()
}

fn write_keys(client: &Client) {
    let pairs: Vec<(String, String)> =
        (0..KEYS).map(|n| (format!("key-{n}"), String::from_utf8(value(n)).unwrap())).collect();
    for share in pairs.chunks(20) {
        assert_eq!(client.load(share).unwrap().status, 200);
    }
}

/// Every segment of a log with how many bytes of it are in use; they are longer than what is in them.
fn log_files(directory: &Path) -> Vec<(PathBuf, usize)> {
    let paths = fs::read_dir(directory.join("wal")).unwrap().map(|entry| entry.unwrap().path());
    let segments = paths.filter(|path| path.extension().is_some_and(|is| is == "wal"));
    let mut files: Vec<_> = segments.map(|path| (path.clone(), used_bytes(&path))).collect();
    files.sort();
    assert!(!files.is_empty(), "no log in {}", directory.display());
    files
}

/// How much of a file lies before the zeros at its end.
fn used_bytes(file: &Path) -> usize {
    // Blocks of zeros are compared whole: segments are large, and this is a debug build.
    const ZEROS: [u8; 4096] = [0; 4096];
    let bytes = fs::read(file).unwrap();
    let blocks = bytes.chunks(ZEROS.len()).rposition(|block| *block != ZEROS[..block.len()]);
    let until = blocks.map_or(0, |last| bytes.len().min((last + 1) * ZEROS.len()));
    bytes[..until].iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

fn flip(file: &Path, offset: usize, bit: u8) {
    let file = File::options().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset as u64).unwrap();
    file.write_all_at(&[byte[0] ^ (1 << bit)], offset as u64).unwrap();
}

/// `count` places spread over the used part of the log, its first and its last bytes among them.
fn places(directory: &Path, count: usize) -> Vec<(PathBuf, usize, u8)> {
    let files = log_files(directory);
    let used: usize = files.iter().map(|(_, used)| used).sum();
    let place = |n: usize| {
        let mut offset = (used - 1) * n / (count - 1);
        for (file, used) in &files {
            if offset < *used {
                return (file.clone(), offset, (n % 8) as u8);
            }
            offset -= used;
        }
        unreachable!("the offset lies in one of the files");
    };
    (0..count).map(place).collect()
}

/// What a node did about its damaged log.
#[derive(Debug)]
enum Reaction {
    /// It did not start, and said why.
    Refused(String),
    /// It runs, and says that its log has lost something.
    Withheld,
    /// It runs.
    Whole,
}

fn start_damaged(node: &mut Node) -> Reaction {
    node.start();
    let standing = eventually("the node says what it is, or refuses to start", || {
        let ended = node.process().try_wait().is_some();
        let said = node.process().stderr();
        let standing = said.lines().find_map(|line| line.split_once(", member")).map(|(_, rest)| rest);
        standing.map(|rest| Some(rest.to_owned())).or(ended.then_some(None))
    });
    match standing {
        Some(rest) if rest.contains("withheld until") => Reaction::Withheld,
        Some(_) => Reaction::Whole,
        None => {
            let (status, stderr) = node.wait_for_end();
            assert!(!status.success(), "{stderr}");
            Reaction::Refused(stderr)
        }
    }
}

/// A refusal names the file and the place.
fn assert_explained(refusal: &str, file: &Path) {
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(refusal.contains(name) && refusal.contains("byte"), "does not name the place: {refusal}");
    assert_eq!(refusal.lines().count(), 1, "{refusal}");
}

#[test]
fn a_flipped_bit_in_the_log_of_one_of_three_never_shows_in_what_it_serves() {
    let mut cluster = Cluster::start(3);
    write_keys(&cluster[0].client);
    let victim = (cluster.leader() + 1) % 3;
    const FLIPS: usize = 6;
    for n in 0..FLIPS {
        cluster[victim].terminate();
        // A refused log is mended by turning the bit back, never by an older copy: that would be a node
        // that has forgotten what it promised.
        let (file, offset, bit) = places(&cluster[victim].data, FLIPS).swap_remove(n);
        flip(&file, offset, bit);
        if let Reaction::Refused(why) = start_damaged(&mut cluster[victim]) {
            assert_explained(&why, &file);
            flip(&file, offset, bit);
            cluster[victim].start();
        }
        cluster[victim].wait_until_ready();
        // A linearizable read first: behind it all that was acknowledged is applied here.
        cluster.read(victim, &path(0)).assert_ok(&value(0));
        for n in 1..KEYS {
            cluster.read(victim, &format!("{}?read=stale", path(n))).assert_ok(&value(n));
        }
    }
}

#[test]
fn a_flipped_bit_in_the_only_log_is_never_passed_over_in_silence() {
    let mut cluster = Cluster::start(1);
    write_keys(&cluster[0].client);
    cluster[0].kill();
    let pristine = cluster[0].data.with_extension("pristine");
    copy_directory(&cluster[0].data, &pristine);
    for (file, offset, bit) in places(&cluster[0].data, 16) {
        flip(&file, offset, bit);
        match start_damaged(&mut cluster[0]) {
            Reaction::Refused(why) => assert_explained(&why, &file),
            Reaction::Withheld => {
                let said = cluster[0].process().stderr();
                assert!(said.contains(file.to_str().unwrap()), "does not name the file: {said}");
                cluster[0].kill();
            }
            Reaction::Whole => {
                for n in 0..KEYS {
                    cluster.read(0, &path(n)).assert_ok(&value(n));
                }
                cluster[0].kill();
            }
        }
        fs::remove_dir_all(&cluster[0].data).unwrap();
        copy_directory(&pristine, &cluster[0].data);
    }
}

#[test]
fn entries_that_were_truncated_stay_gone_over_a_kill_and_a_restart() {
    let mut cluster = Cluster::start(3);
    cluster.write(0, "/kv/common", b"1");
    let old = cluster.leader();
    let others: Vec<usize> = (0..3).filter(|node| *node != old).collect();

    // The leader takes entries that no other node ever gets,
    for node in &others {
        cluster[*node].kill();
    }
    let client = cluster[old].client.clone();
    thread::scope(|scope| {
        for n in 0..8 {
            let client = client.clone();
            scope.spawn(move || {
                let reply = client.put(&format!("/kv/lost-{n}"), b"never acknowledged").unwrap();
                assert!(matches!(reply.status, 503 | 504), "{reply:?}");
            });
        }
    });
    let status = client.status().unwrap();
    let (last, committed) = (status["last_index"].as_u64(), status["commit_index"].as_u64());
    assert!(last > committed, "it holds entries that are not committed: {status}");
    cluster[old].kill();

    // and has to give them up for what the others decided without it.
    for node in &others {
        cluster[*node].start();
    }
    for n in 0..20 {
        cluster.write(others[0], &format!("/kv/new-{n}"), format!("{n}").as_bytes());
    }
    for _ in 0..3 {
        cluster[old].start();
        cluster[old].wait_until_ready();
        cluster.read(old, "/kv/new-0").assert_ok(b"0");
        cluster[old].kill();
    }
    cluster[old].start();
    for n in 0..20 {
        cluster.read(old, &format!("/kv/new-{n}")).assert_ok(format!("{n}").as_bytes());
    }
    for n in 0..8 {
        assert_eq!(cluster.read(old, &format!("/kv/lost-{n}?read=stale")).status, 404);
    }
    cluster.read(old, "/kv/common?read=stale").assert_ok(b"1");
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_directory(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}
