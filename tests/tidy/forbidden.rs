//! What nobody may write: calls that break determinism or hide a panic, and tests that do not run.

use crate::{
    code::{self, Code},
    tree::File,
};

/// Something that is not to be written in the library, except in the seams that provide it.
struct Rule {
    what: &'static str,
    /// Files and `folders/` that may.
    except: &'static [&'static str],
    why: &'static str,
}

const fn rule(what: &'static str, except: &'static [&'static str], why: &'static str) -> Rule {
    Rule { what, except, why }
}

const DETERMINISM: &str = "one seed must give one run";
const SEAM: &str = "threads are started at the bridges alone";
const STARVES: &str = "a busy actor's timers starve: let a Tick tell it";
const PANIC: &str = "say what cannot be wrong with `expect`, or handle it";

#[rustfmt::skip]
const RULES: &[Rule] = &[
    // tokio's clock, which a paused runtime pauses; beside the node's: what a probe shows, how long replies may
    // wait for each other, and what sockets do; and the simulator, whose time is paused. The machine's own clock is watched as
    // `std::time::Instant`.
    rule("Instant::now", &["src/clock.rs", "src/mailbox/inspected/", "src/actors/fsm_applier/step.rs",
                           "src/transport/tcp/", "src/sim/"], DETERMINISM),
    rule("SystemTime", &["src/clock.rs"], DETERMINISM),
    rule("thread::sleep", &[], DETERMINISM),
    rule("HashMap", &[], DETERMINISM),
    rule("HashSet", &[], DETERMINISM),
    rule("thread_rng", &[], DETERMINISM),
    rule("getrandom::fill", &["src/system/open.rs", "src/storage/data_dir.rs"], DETERMINISM),
    rule("thread::spawn", &[], SEAM),
    rule("thread::Builder", &["src/actors/storage/thread.rs", "src/actors/fsm_applier/thread.rs",
                              "src/actors/snapshotter/thread.rs", "src/storage/wal/spares.rs",
                              "src/system/open.rs", "src/system/start.rs", "src/sim/run.rs"], SEAM),
    // The leader's CommitDue: a leader too busy for it has appends that carry the commit index.
    rule("notify_later", &["src/actors/leader/mod.rs", "src/mailbox/context.rs"], STARVES),
    rule("run_later", &["src/mailbox/context.rs"], STARVES),
    rule("run_interval", &[], STARVES),
    rule("ResponseFuture", &[], "a completion is a message, not a future in a handler"),
    rule("ResponseActFuture", &[], "a completion is a message, not a future in a handler"),
    rule(".unwrap()", &[], PANIC),
    rule("todo!", &[], PANIC),
    rule("unimplemented!", &[], PANIC),
    rule("dbg!", &[], "tell `tracing`"),
    rule("println!", &[], "tell `tracing`"),
    rule("eprintln!", &[], "tell `tracing`"),
];

/// Everything forbidden in the library, and tests that are switched off anywhere without a command that runs them.
pub(crate) fn check(library: &[Code], everything: &[File]) -> Vec<String> {
    let calls = library.iter().flat_map(check_calls);
    let choices = library.iter().flat_map(check_choices);
    let tests = everything.iter().flat_map(check_ignored);
    calls.chain(choices).chain(tests).collect()
}

fn check_calls(code: &Code) -> Vec<String> {
    let applies = |rule: &&Rule| !rule.except.iter().any(|place| code.file.is_in(place));
    let complain = |rule: &Rule| -> Vec<String> {
        let found = find(&code.bare, rule.what);
        found.iter().map(|at| format!("{}: `{}`: {}", code.place(*at), rule.what, rule.why)).collect()
    };
    RULES.iter().filter(applies).flat_map(complain).collect()
}

/// `select!` looks at its branches in random order unless it is told not to.
fn check_choices(code: &Code) -> Vec<String> {
    let unbiased = |at: &usize| {
        let inside = code.bare[*at..].split_once('{').map_or("", |(_, inside)| inside);
        !inside.trim_start().starts_with("biased;")
    };
    let found = find(&code.bare, "select!").into_iter().filter(unbiased);
    found.map(|at| format!("{}: `select!` without `biased;`: {DETERMINISM}", code.place(at))).collect()
}

/// A test that takes minutes may be left to a run of its own if it says the command.
fn check_ignored(file: &File) -> Vec<String> {
    let code = Code { file: file.clone(), bare: code::bare(&file.text) };
    let says_how = |at: &usize| {
        let line = file.text[*at..].lines().next().unwrap_or_default();
        line.split_once('"').is_some_and(|(_, reason)| reason.contains("cargo test --"))
    };
    let found = find(&code.bare, concat!("#[", "ignore")).into_iter().filter(|at| !says_how(at));
    found.map(|at| format!("{}: a test that does not run shows nothing", code.place(at))).collect()
}

/// Where `what` stands in the code, not as a part of a longer word.
fn find(bare: &str, what: &str) -> Vec<usize> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let cut = |at: usize| {
        let (before, after) = (&bare[..at], &bare[at + what.len()..]);
        what.starts_with(is_word) && before.ends_with(is_word)
            || what.ends_with(is_word) && after.starts_with(is_word)
    };
    bare.match_indices(what).map(|(at, _)| at).filter(|at| !cut(*at)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(path: &str, text: &str) -> Vec<String> {
        let file = File { path: path.to_owned(), text: text.to_owned() };
        check(&code::without_tests(std::slice::from_ref(&file)), &[file])
    }

    #[test]
    fn each_forbidden_thing_is_found() {
        for rule in RULES {
            let text = format!("fn f() {{\n    x{};\n}}", format_args!(" {}(y)", rule.what));
            let found = complaints("src/protocol/a.rs", &text);
            let line = format!("src/protocol/a.rs:2: `{}`: {}", rule.what, rule.why);
            assert!(found.contains(&line), "{found:?} lacks {line}");
        }
    }

    #[test]
    fn a_seam_may_do_what_it_is_there_for() {
        assert_eq!(complaints("src/clock.rs", "Instant::now()"), [""; 0]);
        assert_eq!(complaints("src/mailbox/inspected/ledger.rs", "Instant::now()"), [""; 0]);
        assert_eq!(complaints("src/mailbox/credits.rs", "Instant::now()").len(), 1);
    }

    #[test]
    fn a_part_of_a_word_is_not_meant() {
        let text = "MyHashMap::new(); HashMapper; x.unwrap_or(1); // HashMap\n\"HashMap\"; debug!(1)";
        assert_eq!(complaints("src/a.rs", text), [""; 0]);
    }

    #[test]
    fn a_choice_by_chance_is_found() {
        let fair = "tokio::select! {\n    biased;\n    a = b => {}\n}";
        assert_eq!(complaints("src/a.rs", fair), [""; 0]);
        assert_eq!(complaints("src/a.rs", &fair.replace("biased;", "")).len(), 1);
    }

    #[test]
    fn a_test_of_minutes_says_its_command() {
        let text = concat!("#[", "ignore = \"minutes: cargo test --test a -- --ignored\"]\nfn a() {}");
        assert_eq!(complaints("tests/a/main.rs", text), [""; 0]);
        assert_eq!(complaints("tests/a/main.rs", &text.replace("cargo test", "see")).len(), 1);
    }

    #[test]
    fn a_test_that_is_switched_off_is_found() {
        let text = concat!("#[test]\n#[", "ignore = \"slow\"]\nfn a() {}");
        assert_eq!(complaints("tests/a.rs", text)[0], "tests/a.rs:2: a test that does not run shows nothing");
        let how = text.replace("slow", "slow: cargo test --test a -- --ignored");
        assert_eq!(complaints("tests/a.rs", &how), [""; 0]);
    }
}
