//! Golden traces: scripts that a person reads. Each is a command and the exact trace it caused.
//!
//! The actors that ship are played, on one thread, with paused clocks, seeds of their own, a network that holds every
//! message until the script delivers it, and disks that flush when the script says. A change of behaviour
//! is a diff of a file in `tests/scripts/`, to be read and, if it is meant, written with
//! `UPDATE_GOLDENFILES=1 cargo test --test scripts`.
//!
//! | command | does |
//! |---|---|
//! | `cluster nodes=3 leader=n1` | starts blank nodes, forms the cluster, elects; shows only where that ends |
//! | `disks nodes=3`, `disk n1 1 1 2 term=3` | disks with a log by hand: the entries' terms, the term in the vote record |
//! | `start n1`, `restart n1` | starts a node on its disk; all of them if none is named |
//! | `join n4` | starts a new node that asks the others for their cluster and waits to be added |
//! | `add n1 n4`, `add-nonvoter n1 n4`, `demote n1 n4`, `remove n1 n4` | a client of n1 changes the membership |
//! | `crash n1`, `wipe n1` | power off; an empty disk instead of the old one |
//! | `campaign n1` | lets time pass for n1 alone, until it asks for votes |
//! | `tick 300ms n1` | lets time pass for n1, or for all |
//! | `propose n1 x=1`, `read n1 x` | a client of n1; tagged `[queued]`, n1 runs with the next command |
//! | `transfer n1 to=n2` | a client of n1 asks for another leader, the one named if one is |
//! | `deliver n1 to n2 Kind count=1` | delivers what is on its way and fits, but nothing that this causes |
//! | `drop n1 to n2 Kind count=1` | loses it; whoever waits for an answer is told |
//! | `partition n1 from n2 n3`, `heal` | loses everything between the two sides |
//! | `hold-flush n1`, `flush n1` | the disk takes its time; it is done, and fast again |
//! | `stabilize` | delivers everything, and lets the leader pass on its commit index, until all is quiet |
//! | `status`, `log n1` | every node's state; what is on its disk |
//!
//! How to read the trace: `n1→n2 …` at the left of a `deliver` arrives at n2; what it causes is indented below it. A message
//! is shown when it is sent and again when it arrives. `3@2` is index 3 of term 2, `t2` a term.

#[path = "scripts_support/mod.rs"]
mod support;

use std::{collections::BTreeSet, fs, path::PathBuf};

use support::Script;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scripts").join(name)
}

/// Plays a script twice, since a trace that is not the same in every run shows nothing, and compares it.
fn play(name: &str) {
    let path = path(&format!("{name}.txt"));
    let input = fs::read_to_string(&path).unwrap();
    let once = goldenscript::generate(&mut Script::default(), &input).unwrap();
    let again = goldenscript::generate(&mut Script::default(), &input).unwrap();
    assert_eq!(once, again, "the second run differs");
    goldenscript::run(&mut Script::default(), &path).unwrap();
}

macro_rules! scripts {
    ($($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                play(stringify!($name));
            }
        )*

        #[test]
        fn every_script_is_played() {
            let files = fs::read_dir(path("")).unwrap();
            let files: BTreeSet<String> =
                files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
            let played = BTreeSet::from([$(concat!(stringify!($name), ".txt").to_owned()),*]);
            assert_eq!(files, played);
        }
    };
}

scripts! {
    bootstrap,
    check_quorum,
    election,
    figure_7,
    figure_8,
    follower_flush,
    idle_commit,
    lost_disk,
    membership,
    outcome_unknown,
    own_flush,
    quarantine,
    queued_proposal,
    read_index,
    replication,
    stickiness,
    transfer,
    up_to_date,
}
