//! The form of files and pages.

use std::collections::BTreeMap;

use crate::tree::File;

/// More lines than this are more than one idea.
const LINES_MAX: usize = 600;

/// The parts of a record of a decision, in order.
const PARTS: [&str; 5] = ["Status", "Context", "Decision", "Consequences", "Alternatives"];

/// Where nothing that others can read is kept.
const PLACES: [&str; 5] = [
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
    concat!("/Us", "ers/"),
    concat!("C:", "\\Users"),
];

/// A source file begins by saying what it is for, and ends before it is two.
pub(crate) fn check_source(file: &File) -> Vec<String> {
    let mut complaints = Vec::new();
    let lines = file.text.lines().count();
    if lines > LINES_MAX {
        complaints.push(format!("{}: {lines} lines are more than {LINES_MAX}: make it two files", file.path));
    }
    if !file.text.starts_with("//! ") {
        complaints.push(format!("{}: begins without `//!`: say what it is for", file.path));
    }
    complaints
}

/// No page and no comment names a place on somebody's machine.
pub(crate) fn check_text(file: &File) -> Vec<String> {
    let names_a_place = |line: &str| PLACES.iter().any(|place| line.contains(place));
    let lines = file.text.lines().enumerate().filter(|(_, line)| names_a_place(line));
    lines.map(|(at, _)| format!("{}:{}: a path on somebody's machine", file.path, at + 1)).collect()
}

/// `NNNN-title.md`, each number once, each with the same parts.
pub(crate) fn check_decisions(decisions: &[File]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut numbers: BTreeMap<&str, &str> = BTreeMap::new();
    for file in decisions {
        let path = &file.path;
        let name = path.rsplit('/').next().unwrap_or(path);
        let number =
            name.split('-').next().filter(|digits| digits.len() == 4 && digits.parse::<u16>().is_ok());
        match number {
            None => complaints.push(format!("{path}: not called NNNN-title.md")),
            Some(number) => {
                let other = numbers.insert(number, path);
                complaints.extend(other.map(|other| format!("{path}: has the number of {other}")));
            }
        }
        let parts: Vec<_> = file.text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        if parts != PARTS {
            complaints.push(format!("{path}: its parts are {parts:?}, not {PARTS:?}"));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_file_without_a_front_or_of_too_many_lines_is_found() {
        assert_eq!(check_source(&file("src/a.rs", "//! For this.\n")), [""; 0]);
        assert_eq!(check_source(&file("src/a.rs", "// For this.\n")).len(), 1);
        assert_eq!(check_source(&file("src/a.rs", &"//! Long.\n".repeat(LINES_MAX))), [""; 0]);
        assert_eq!(check_source(&file("src/a.rs", &"//! Long.\n".repeat(LINES_MAX + 1))).len(), 1);
    }

    #[test]
    fn a_place_on_a_machine_is_found() {
        let text = format!("fine\nsee {}me/notes\n", PLACES[0]);
        assert_eq!(check_text(&file("docs/a.md", &text)), ["docs/a.md:2: a path on somebody's machine"]);
        assert_eq!(check_text(&file("docs/a.md", "at /var/lib/raftix")), [""; 0]);
    }

    #[test]
    fn a_decision_without_number_or_form_is_found() {
        let good = PARTS.map(|part| format!("## {part}\n")).concat();
        let two = [file("docs/adr/0001-a.md", &good), file("docs/adr/0002-b.md", &good)];
        assert_eq!(check_decisions(&two), [""; 0]);
        assert_eq!(check_decisions(&[file("docs/adr/1-a.md", &good)]).len(), 1);
        assert_eq!(check_decisions(&[file("docs/adr/0001-a.md", "## Status\n")]).len(), 1);
        let twice = [file("docs/adr/0001-a.md", &good), file("docs/adr/0001-b.md", &good)];
        assert_eq!(check_decisions(&twice), ["docs/adr/0001-b.md: has the number of docs/adr/0001-a.md"]);
    }
}
