//! The habits of this project, read off its source as text: which room may use which, what nobody may call,
//! that the pages tell the truth. One clear line for each thing that is wrong.
//!
//! Knows the source only as text and uses nothing of `raftix`. Each checker has tests of its own, on small bad
//! snippets, that show it can fail. `UPDATE_DOCS=1 cargo test --test tidy` writes docs/channels.md anew.

mod channels;
mod code;
mod forbidden;
mod imports;
mod known_bugs;
mod messages;
mod pages;
mod program;
mod rooms;
mod tree;

/// Fails with the complaints, one a line.
#[track_caller]
fn tidy(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn imports_run_one_way_and_in_no_circle() {
    let library = tree::library();
    tidy(imports::check(&library));
}

#[test]
fn nobody_calls_what_is_forbidden() {
    tidy(forbidden::check(&tree::library(), &tree::everything()));
}

#[test]
fn each_file_says_what_it_is_for_and_is_one_idea() {
    tidy(tree::everything().iter().flat_map(pages::check_source).collect());
}

#[test]
fn pages_speak_of_the_project_alone() {
    tidy(tree::texts().iter().flat_map(pages::check_text).collect());
}

#[test]
fn decisions_are_numbered_and_have_one_form() {
    tidy(pages::check_decisions(&tree::decisions()));
}

#[test]
fn the_table_of_channels_is_true() {
    let library = tree::library();
    let (messages, incomplete) = messages::find(&library);
    tidy(incomplete);
    tidy(messages::check_receivers(&messages, &library));
    tidy(channels::check(&messages));
}

#[test]
fn the_known_bugs_and_their_tests_know_each_other() {
    tidy(known_bugs::check());
}

#[test]
fn the_smallest_program_is_the_same_everywhere() {
    tidy(program::check());
}
