//! Which room names which, against the table of [`ROOMS`], which itself allows no circle.

use crate::{
    code::Code,
    rooms::{ROOMS, Room, WATCHED},
};

/// Everything that is wrong with the imports of the library.
pub(crate) fn check(library: &[Code]) -> Vec<String> {
    check_with(ROOMS, library)
}

fn check_with(rooms: &[Room], library: &[Code]) -> Vec<String> {
    let mut complaints = check_table(rooms);
    for code in library.iter().filter(|code| code.room() != "lib") {
        match rooms.iter().find(|room| room.name == code.room()) {
            None => {
                complaints.push(format!("{}: `{}` is not in the table of rooms", code.file.path, code.room()))
            }
            Some(room) => complaints.extend(check_file(rooms, room, code)),
        }
    }
    complaints
}

fn check_file(rooms: &[Room], room: &Room, code: &Code) -> Vec<String> {
    let wrong = |(at, path): (usize, Vec<String>)| check_path(rooms, room, code, &code.place(at), &path);
    paths(&code.bare).into_iter().filter_map(wrong).collect()
}

fn check_path(rooms: &[Room], room: &Room, code: &Code, place: &str, path: &[String]) -> Option<String> {
    let name = room.name;
    if path[0] == "crate" {
        let other = path.get(1).map_or("", String::as_str);
        if !rooms.iter().any(|room| room.name == other) {
            return Some(format!(
                "{place}: `{}` is in no room; name it by the room it is in",
                path.join("::")
            ));
        }
        let may = other == name || room.uses.contains(&other);
        return (!may).then(|| format!("{place}: `{name}` must not use `{other}`"));
    }
    let ups = path.iter().take_while(|step| *step == "super").count();
    if ups >= code.depth() {
        return Some(format!("{place}: leaves the room by `super`; begin with `crate`"));
    }
    let full = path.join("::");
    let is_front = |watched: &&&str| full == **watched || full.starts_with(&format!("{watched}::"));
    let watched = WATCHED.iter().filter(is_front).max_by_key(|watched| watched.len())?;
    (!room.outside.contains(watched)).then(|| format!("{place}: `{name}` must not name `{watched}`"))
}

/// A room uses rooms from further up the table alone: so there is no circle.
fn check_table(rooms: &[Room]) -> Vec<String> {
    let mut complaints = Vec::new();
    for (at, room) in rooms.iter().enumerate() {
        let is_above = |other: &str| rooms[..at].iter().any(|room| room.name == other);
        let wrong = room.uses.iter().filter(|other| !is_above(other));
        let name = room.name;
        complaints.extend(
            wrong.map(|other| format!("table of rooms: `{name}` uses `{other}`, which is not above it")),
        );
    }
    complaints
}

/// Every path that the code names, with where it begins; the trees of `use` are spread out.
pub(crate) fn paths(bare: &str) -> Vec<(usize, Vec<String>)> {
    let mut paths = Vec::new();
    let mut at = 0;
    while let Some(begin) = bare[at..].find(is_word).map(|found| at + found) {
        let word = word(&bare[begin..]);
        at = begin + word.len();
        if word == "use" {
            let end = bare[at..].find(';').map_or(bare.len(), |found| at + found);
            spread(&bare[at..end], &[], &mut |path| paths.push((begin, path)));
            at = end;
        } else {
            let mut path = vec![word.to_owned()];
            while let Some(step) = bare[at..].strip_prefix("::").filter(|next| next.starts_with(is_word)) {
                let step = self::word(step);
                path.push(step.to_owned());
                at += 2 + step.len();
            }
            if path.len() > 1 {
                paths.push((begin, path));
            }
        }
    }
    paths
}

/// The paths of a tree such as `a::{b, c::{d, e as f}}`.
fn spread(tree: &str, front: &[String], found: &mut dyn FnMut(Vec<String>)) {
    let (steps, branches) = match tree.split_once('{') {
        Some((steps, rest)) => (steps, rest.trim_end().strip_suffix('}')),
        None => (tree, None),
    };
    let steps = steps.split(" as ").next().unwrap_or(steps);
    let steps = steps.split("::").map(str::trim).filter(|step| !step.is_empty());
    let path: Vec<String> = front.iter().cloned().chain(steps.map(str::to_owned)).collect();
    match branches {
        Some(branches) => split_top(branches).into_iter().for_each(|branch| spread(branch, &path, found)),
        None if !path.is_empty() => found(path),
        None => {}
    }
}

/// Splits at the commas that are in no inner braces.
fn split_top(branches: &str) -> Vec<&str> {
    let mut depth = 0;
    let is_split = |c: char| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        depth == 0 && c == ','
    };
    branches.split(is_split).filter(|branch| !branch.trim().is_empty()).collect()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn word(text: &str) -> &str {
    &text[..text.find(|c| !is_word(c)).unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{code::without_tests, tree::File};

    const TABLE: &[Room] = &[
        Room { name: "types", uses: &[], outside: &[] },
        Room { name: "protocol", uses: &["types"], outside: &["std::thread"] },
        Room { name: "actors", uses: &["types", "protocol"], outside: &["actix"] },
        Room { name: "mailbox", uses: &["actors"], outside: &[] },
    ];

    fn complaints(files: &[(&str, &str)]) -> Vec<String> {
        let file = |(path, text): &(&str, &str)| File { path: (*path).to_owned(), text: (*text).to_owned() };
        check_with(TABLE, &without_tests(&files.iter().map(file).collect::<Vec<_>>()))
    }

    #[test]
    fn an_import_along_the_table_is_welcome() {
        let text = "use std::{thread, fmt};\nuse crate::{types::{A, B as C}, protocol};\nuse super::{a, b};\n\
                    // crate::actors\nfn f() -> &'static str { \"crate::actors\" }";
        assert_eq!(complaints(&[("src/protocol/a.rs", text)]), [""; 0]);
    }

    #[test]
    fn an_import_against_the_table_is_named_with_its_line() {
        let text = "use std::{fmt, io};\nuse crate::{\n    types::A,\n    actors::{b::B, c},\n};\nfn f(a: crate::actors::D) {}";
        let wrong = complaints(&[("src/protocol/a.rs", text)]);
        assert_eq!(wrong.len(), 3);
        assert_eq!(wrong[0], "src/protocol/a.rs:2: `protocol` must not use `actors`");
        assert!(wrong[2].starts_with("src/protocol/a.rs:6:"), "{wrong:?}");
    }

    #[test]
    fn what_lies_outside_is_watched() {
        let watched = |text| complaints(&[("src/actors/mod.rs", text)]);
        assert_eq!(watched("use actix::{Actor, Handler};"), [""; 0]);
        assert_eq!(
            watched("use actix::{Actor, dev::Envelope};"),
            ["src/actors/mod.rs:1: `actors` must not name `actix::dev`"]
        );
        assert_eq!(watched("use std::{fs, io};"), ["src/actors/mod.rs:1: `actors` must not name `std::fs`"]);
        assert_eq!(watched("fn f() { std::fs::read(p) }").len(), 1);
    }

    #[test]
    fn neither_super_nor_a_re_export_leads_out_of_a_room() {
        let out = |path, text| complaints(&[(path, text)]).len();
        assert_eq!(out("src/types/mod.rs", "use super::actors;"), 1);
        assert_eq!(out("src/types/a.rs", "use super::b; use super::super::actors;"), 1);
        assert_eq!(out("src/types/a.rs", "use crate::Actor;"), 1);
        assert_eq!(out("src/unknown.rs", ""), 1);
    }

    #[test]
    fn a_table_with_a_circle_is_found() {
        let circle = |uses| {
            let rooms = [
                Room { name: "a", uses: &[], outside: &[] },
                Room { name: "b", uses: &["a"], outside: &[] },
                Room { name: "c", uses, outside: &[] },
            ];
            check_table(&rooms)
        };
        assert_eq!(circle(&["a", "b"]), [""; 0]);
        assert_eq!(circle(&["a", "d"]), ["table of rooms: `c` uses `d`, which is not above it"]);
        assert_eq!(circle(&["c"]).len(), 1);
    }
}
