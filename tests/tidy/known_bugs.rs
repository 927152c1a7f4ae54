//! docs/known-bugs.md: every test it names exists, every `regress_` test has its row, every row says something.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree::{self, File};

const PAGE: &str = "docs/known-bugs.md";
const PREFIX: &str = "regress_";

/// Where page and tests do not fit.
pub(crate) fn check() -> Vec<String> {
    compare(&tree::text_of(PAGE).unwrap_or_default(), &tree::everything(), |path| {
        tree::text_of(path).is_some()
    })
}

fn compare(page: &str, files: &[File], exists: impl Fn(&str) -> bool) -> Vec<String> {
    let tests: BTreeSet<(&str, &str)> = files.iter().flat_map(tests_of).collect();
    let mut complaints = Vec::new();
    let mut rows: BTreeMap<String, &str> = BTreeMap::new();
    for line in page.lines() {
        let Some((id, shown)) = row(line) else { continue };
        if shown.is_empty() {
            complaints.push(format!("{PAGE}: {id} names neither a test nor a reason"));
        }
        for (path, name) in named(shown) {
            let there = name.map_or_else(|| exists(path), |name| tests.contains(&(path, name)));
            if !there {
                let name = name.map(|name| format!("::{name}")).unwrap_or_default();
                complaints.push(format!("{PAGE}: {id} names {path}{name}, which is not there"));
            }
        }
        if rows.insert(id.to_lowercase(), shown).is_some() {
            complaints.push(format!("{PAGE}: {id} has two rows"));
        }
    }
    for (path, name) in tests.iter().filter(|(_, name)| name.starts_with(PREFIX)) {
        let ids = ids_of(name);
        let lacking =
            |id: &&str| !rows.get(*id).is_some_and(|shown| named(shown).any(|it| it.1 == Some(name)));
        let missing = ids.iter().copied().filter(lacking);
        complaints.extend(missing.map(|id| format!("{path}: {name} is not in the row {id} of {PAGE}")));
        if ids.is_empty() {
            complaints.push(format!("{path}: {name} names no row of {PAGE}"));
        }
    }
    complaints
}

/// The id of a row and its last cell.
fn row(line: &str) -> Option<(&str, &str)> {
    let mut cells = line.strip_prefix("| ")?.strip_suffix('|')?.split(" | ");
    let id = cells.next().filter(|id| is_id(&id.to_lowercase()))?;
    Some((id, cells.nth(2).unwrap_or_default().trim()))
}

/// A letter and a number.
fn is_id(word: &str) -> bool {
    let mut letters = word.chars();
    letters.next().is_some_and(|first| first.is_ascii_lowercase())
        && letters.as_str().parse::<u16>().is_ok_and(|number| number > 0)
}

/// Which files and tests a cell names: whatever stands in backticks and is a path.
fn named(cell: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let quoted = cell.split('`').skip(1).step_by(2);
    let paths = quoted.filter(|quoted| quoted.starts_with("src/") || quoted.starts_with("tests/"));
    paths.map(|path| path.split_once("::").map_or((path, None), |(path, name)| (path, Some(name))))
}

/// The rows that a test is for: `regress_a1_b2_words` is for `a1` and `b2`.
fn ids_of(test: &str) -> Vec<&str> {
    test.trim_start_matches(PREFIX).split('_').take_while(|word| is_id(word)).collect()
}

/// Every function right behind a `#[test]`, with its file.
fn tests_of(file: &File) -> Vec<(&str, &str)> {
    let mut tests = Vec::new();
    let mut marked = false;
    for line in file.text.lines().map(str::trim) {
        if let Some((name, _)) =
            line.strip_prefix("fn ").and_then(|rest| rest.split_once('(')).filter(|_| marked)
        {
            tests.push((file.path.as_str(), name));
        }
        marked = line == "#[test]" || marked && line.starts_with('#');
    }
    tests
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: &str = "#[test]\n";

    fn files() -> [File; 1] {
        let text = format!(
            "{TEST}fn regress_a1_b2_is_so() {{\n}}\n\n{TEST}fn other() {{\n}}\n\nfn helper() {{\n}}\n"
        );
        [File { path: "tests/a.rs".to_owned(), text }]
    }

    fn complaints(rows: &[(&str, &str)]) -> Vec<String> {
        let row = |(id, shown): &(&str, &str)| format!("| {id} | x#1 | something | {shown} |\n");
        let head = "| id | source | what went wrong | shown by |\n|---|---|---|---|\n";
        let page = head.to_owned() + &rows.iter().map(row).collect::<String>();
        compare(&page, &files(), |path| path == "tests/a.txt")
    }

    const A1: (&str, &str) = ("A1", "`tests/a.rs::regress_a1_b2_is_so`: words");
    const B2: (&str, &str) = ("B2", "`tests/a.rs::regress_a1_b2_is_so`, `tests/a.txt`");

    #[test]
    fn a_true_table_is_welcome() {
        assert_eq!(complaints(&[A1, B2, ("C3", "`tests/a.rs::other`"), ("D4", "with snapshots")]), [""; 0]);
    }

    #[test]
    fn a_test_that_is_not_there_is_found() {
        for lost in ["tests/a.rs::helper", "tests/a.rs::gone", "tests/b.rs::other", "tests/b.txt"] {
            let found = complaints(&[A1, B2, ("C3", &format!("`{lost}`"))]);
            assert_eq!(found, [format!("docs/known-bugs.md: C3 names {lost}, which is not there")]);
        }
    }

    #[test]
    fn a_test_without_its_row_is_found() {
        let lacking = "tests/a.rs: regress_a1_b2_is_so is not in the row b2 of docs/known-bugs.md";
        assert_eq!(complaints(&[A1]), [lacking]);
        assert_eq!(complaints(&[A1, ("B2", "with snapshots")]), [lacking]);
    }

    #[test]
    fn an_empty_and_a_doubled_row_are_found() {
        assert_eq!(
            complaints(&[A1, B2, ("C3", "")]),
            ["docs/known-bugs.md: C3 names neither a test nor a reason"]
        );
        assert_eq!(complaints(&[A1, B2, B2]), ["docs/known-bugs.md: B2 has two rows"]);
    }
}
