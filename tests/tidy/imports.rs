//! Which room names which: against the table of [`ROOMS`], and in no circle.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    code::Code,
    rooms::{ROOMS, Room, WATCHED},
};

/// Who uses whom, by name, with a place where it says so.
type Uses = BTreeMap<(String, String), String>;

/// Everything that is wrong with the imports of the library.
pub(crate) fn check(library: &[Code]) -> Vec<String> {
    check_with(ROOMS, library)
}

fn check_with(rooms: &[Room], library: &[Code]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut uses = Uses::new();
    for code in library.iter().filter(|code| code.room() != "lib") {
        let Some(room) = rooms.iter().find(|room| room.name == code.room()) else {
            complaints.push(format!("{}: `{}` is not in the table of rooms", code.file.path, code.room()));
            continue;
        };
        for (at, path) in paths(&code.bare) {
            let place = code.place(at);
            complaints.extend(check_path(rooms, room, code, &place, &path));
            if let ["crate", other, ..] = &path.iter().map(String::as_str).collect::<Vec<_>>()[..]
                && *other != room.name
            {
                uses.insert((room.name.to_owned(), (*other).to_owned()), place);
            }
        }
    }
    complaints.extend(circles(&uses));
    complaints
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

/// One complaint for each circle of rooms, named by its first room.
fn circles(uses: &Uses) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut known = BTreeSet::new();
    for (from, to) in uses.keys() {
        let Some(back) = way(uses, to, from) else { continue };
        let members: BTreeSet<_> = back.iter().cloned().collect();
        if known.insert(members) {
            let places: Vec<_> = back
                .iter()
                .zip(back.iter().skip(1))
                .filter_map(|(from, to)| uses.get(&(from.clone(), to.clone())).cloned())
                .collect();
            let circle = back.join(" → ");
            complaints.push(format!("a circle of rooms: {from} → {circle} (see {})", places.join(", ")));
        }
    }
    complaints
}

/// The shortest way from one room to another along what they use.
fn way(uses: &Uses, from: &str, to: &str) -> Option<Vec<String>> {
    let mut ways = vec![vec![from.to_owned()]];
    let mut seen = BTreeSet::from([from.to_owned()]);
    while !ways.is_empty() {
        if let Some(found) = ways.iter().find(|way| way.last().is_some_and(|last| last == to)) {
            return Some(found.clone());
        }
        let mut longer = Vec::new();
        for way in ways {
            for (_, next) in uses.keys().filter(|(user, _)| way.last() == Some(user)) {
                if seen.insert(next.clone()) {
                    longer.push(way.iter().chain([next]).cloned().collect());
                }
            }
        }
        ways = longer;
    }
    None
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
    fn a_circle_of_rooms_is_found_whatever_the_table_says() {
        let uses = |pairs: &[(&str, &str)]| {
            let named = |(a, b): &(&str, &str)| (((*a).to_owned(), (*b).to_owned()), format!("{a}.rs:1"));
            circles(&pairs.iter().map(named).collect())
        };
        assert_eq!(uses(&[("a", "b"), ("b", "c"), ("a", "c")]), [""; 0]);
        let found = uses(&[("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")]);
        assert_eq!(found, ["a circle of rooms: a → b → c → a (see b.rs:1, c.rs:1)"]);
    }
}
