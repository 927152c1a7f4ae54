//! docs/channels.md: one row for each message, made of its doc comment. The order and the words between the
//! tables are the page's own.

use std::{collections::BTreeMap, env, fs};

use crate::{messages::Message, tree};

const PAGE: &str = "docs/channels.md";
const UNPLACED: &str = "## Not in its place yet";
const HEAD: &str =
    "| message | Go | from → to | reply, or what follows | if it is lost |\n|---|---|---|---|---|\n";

/// What the page has to say differently. With `UPDATE_DOCS` set it is written first.
pub(crate) fn check(messages: &[Message]) -> Vec<String> {
    if env::var_os("UPDATE_DOCS").is_some() {
        let page = update(&tree::text_of(PAGE).unwrap_or_default(), messages);
        fs::write(tree::root().join(PAGE), page).expect("the page can be written");
    }
    compare(&tree::text_of(PAGE).unwrap_or_default(), messages)
}

fn compare(page: &str, messages: &[Message]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut rows: BTreeMap<&str, &str> = BTreeMap::new();
    for line in page.lines() {
        let Some(name) = name_of(line) else { continue };
        if rows.insert(name, line).is_some() {
            complaints.push(format!("{PAGE}: `{name}` has two rows"));
        }
    }
    for message in messages {
        let Message { name, place, .. } = message;
        match rows.remove(name.as_str()) {
            None => complaints.push(format!("{PAGE}: lacks `{name}` ({place})")),
            Some(line) if line != row(message) => {
                complaints
                    .push(format!("{PAGE}: `{name}` is not what {place} says; UPDATE_DOCS=1 writes it"));
            }
            Some(_) => {}
        }
    }
    complaints.extend(rows.keys().map(|name| format!("{PAGE}: there is no message `{name}`")));
    if page.contains(UNPLACED) {
        complaints.push(format!("{PAGE}: move the rows under \"{UNPLACED}\" to where they belong"));
    }
    complaints
}

/// The page with each row as its message says, without rows of no message, and with new ones at the end.
fn update(page: &str, messages: &[Message]) -> String {
    let of = |name: &str| messages.iter().find(|message| message.name == name);
    let mut updated = String::new();
    for line in page.lines() {
        match name_of(line) {
            None => updated.push_str(&format!("{line}\n")),
            Some(name) => updated.extend(of(name).map(|message| format!("{}\n", row(message)))),
        }
    }
    let is_new = |message: &&Message| !page.lines().any(|line| name_of(line) == Some(&message.name));
    let new: String = messages.iter().filter(is_new).map(|message| format!("{}\n", row(message))).collect();
    if !new.is_empty() {
        updated.push_str(&format!("\n{UNPLACED}\n\n{HEAD}{new}"));
    }
    updated
}

/// The message that a line of the page is the row of.
fn name_of(line: &str) -> Option<&str> {
    let (name, _) = line.strip_prefix("| `")?.split_once('`')?;
    // A Go channel begins with a small letter.
    name.starts_with(char::is_uppercase).then_some(name)
}

fn row(message: &Message) -> String {
    let cells = [&message.go, &message.from_to, &message.answer, &message.loss];
    let cells = cells.map(|cell| cell.trim_end_matches('.').replace('|', "\\|"));
    format!("| `{}` | {} |", message.name, cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(name: &str) -> Message {
        Message {
            name: name.to_owned(),
            place: "src/messages/a.rs:1".to_owned(),
            go: "`aCh`.".to_owned(),
            from_to: "A → B.".to_owned(),
            answer: "none.".to_owned(),
            loss: "never.".to_owned(),
        }
    }

    fn page(names: &[&str]) -> String {
        let rows: String = names.iter().map(|name| format!("{}\n", row(&message(name)))).collect();
        format!("# Channels\n\nWords.\n\n{HEAD}{rows}")
    }

    #[test]
    fn a_row_holds_the_four_lines() {
        assert_eq!(row(&message("Do")), "| `Do` | `aCh` | A → B | none | never |");
    }

    #[test]
    fn a_true_page_is_welcome_in_any_order() {
        assert_eq!(compare(&page(&["Do", "Done"]), &[message("Done"), message("Do")]), [""; 0]);
    }

    #[test]
    fn a_missing_a_surplus_a_doubled_and_a_false_row_are_found() {
        let one = [message("Do")];
        assert_eq!(compare(&page(&[]), &one), ["docs/channels.md: lacks `Do` (src/messages/a.rs:1)"]);
        assert_eq!(compare(&page(&["Do", "Done"]), &one), ["docs/channels.md: there is no message `Done`"]);
        assert_eq!(compare(&page(&["Do", "Do"]), &one), ["docs/channels.md: `Do` has two rows"]);
        assert_eq!(compare(&page(&["Do"]).replace("A → B", "A → C"), &one).len(), 1);
    }

    #[test]
    fn an_update_keeps_the_order_and_shows_what_needs_a_place() {
        let old = page(&["C", "Gone", "A"]).replace("A → B", "A → nobody");
        let all = [message("A"), message("B"), message("C")];
        let new = update(&old, &all);
        let names: Vec<_> = new.lines().filter_map(name_of).collect();
        assert_eq!(names, ["C", "A", "B"]);
        assert!(new.starts_with("# Channels\n\nWords.\n"));
        let left = compare(&new, &all);
        assert!(left.len() == 1 && left[0].contains(UNPLACED), "{left:?}");
        assert_eq!(compare(&new.replace(UNPLACED, "## Other"), &all), [""; 0]);
    }
}
