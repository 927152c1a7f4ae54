//! The smallest program, which examples/embed.rs, the front page of the docs and the README all show.

use crate::tree;

const EXAMPLE: &str = "examples/embed.rs";
const HEADING: &str = "The smallest program";

/// Where the program is not what the example runs.
pub(crate) fn check() -> Vec<String> {
    let example = of_example(&tree::text_of(EXAMPLE).unwrap_or_default());
    let front = tree::text_of("src/lib.rs").unwrap_or_default();
    let mut complaints = Vec::from_iter(compare(&example, "src/lib.rs", &front_page(&front)));
    if let Some(readme) = tree::text_of("README.md") {
        complaints.extend(compare(&example, "README.md", &readme));
    }
    complaints
}

fn compare(example: &str, place: &str, page: &str) -> Option<String> {
    let Some(shown) = of_page(page) else {
        return Some(format!("{place}: shows no program under \"{HEADING}\""));
    };
    let pairs = example.lines().zip(shown.lines());
    let wrong = pairs.into_iter().find(|(ran, shown)| ran != shown).map(|(_, shown)| format!("`{shown}`"));
    let wrong = wrong.or_else(|| (example != shown).then(|| "its length".to_owned()));
    wrong.map(|what| format!("{place}: the smallest program is not {EXAMPLE}: {what}"))
}

/// Without the words at its front.
fn of_example(text: &str) -> String {
    let lines = text.lines().skip_while(|line| line.is_empty() || line.starts_with("//!"));
    lines.map(|line| format!("{line}\n")).collect()
}

/// What rustdoc makes its front page of.
fn front_page(source: &str) -> String {
    let lines = source.lines().filter_map(|line| line.strip_prefix("//!"));
    lines.map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line))).collect()
}

/// The first Rust block under the heading.
fn of_page(page: &str) -> Option<String> {
    let is_heading = |line: &&str| line.starts_with('#') && line.trim_start_matches('#').trim() == HEADING;
    let mut lines = page.lines().skip_while(|line| !is_heading(line)).skip_while(|line| *line != "```rust");
    lines.next()?;
    Some(lines.take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str =
        "# Raftix\n\n## The smallest program\n\nWords.\n\n```rust\nlet a;\n\nlet b;\n```\n\nMore.\n";

    #[test]
    fn the_program_is_found_on_a_page_and_in_the_docs() {
        assert_eq!(compare("let a;\n\nlet b;\n", "README.md", PAGE), None);
        let source: String = PAGE.lines().map(|line| format!("//! {line}\n").replace(" \n", "\n")).collect();
        assert_eq!(front_page(&format!("{source}\npub mod a;\n")), PAGE);
        assert_eq!(of_example("//! Words.\n\nlet a;\n\nlet b;\n"), "let a;\n\nlet b;\n");
    }

    #[test]
    fn a_line_that_differs_is_named_and_an_absent_program_too() {
        let wrong = |example, page| compare(example, "README.md", page).expect("something is wrong");
        assert!(wrong("let a;\n\nlet c;\n", PAGE).ends_with(": `let b;`"));
        assert!(wrong("let a;\n", PAGE).ends_with(": its length"));
        assert!(wrong("let a;\n", "# Raftix\n").contains("shows no program"));
    }
}
