//! What the source says about each message: the four lines of its doc comment, and who handles it.

use std::collections::BTreeMap;

use crate::code::Code;

/// A message and the four lines of its doc comment, links removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) name: String,
    /// `file:line` of its struct.
    pub(crate) place: String,
    pub(crate) go: String,
    pub(crate) from_to: String,
    pub(crate) answer: String,
    pub(crate) loss: String,
}

impl Message {
    /// The part behind the first arrow, where "itself" is whoever stands before it.
    fn receivers(&self) -> String {
        let (from, to) = self.from_to.split_once('→').unwrap_or(("", ""));
        to.replace("itself", from)
    }
}

/// The messages of `src/messages/` and `src/actors/`, and what their doc comments lack.
pub(crate) fn find(library: &[Code]) -> (Vec<Message>, Vec<String>) {
    let (mut messages, mut incomplete) = (Vec::new(), Vec::new());
    for code in library.iter().filter(|code| ["messages", "actors"].contains(&code.room())) {
        for (line, name) in structs(code) {
            let place = format!("{}:{}", code.file.path, line + 1);
            let lines = doc_lines(code, line);
            let of = |label: &str| lines.get(label).cloned().unwrap_or_default();
            let message = Message {
                go: of("Go"),
                from_to: of("From → to"),
                answer: [of("Reply"), of("Follows")]
                    .iter()
                    .filter(|s| !s.is_empty())
                    .cloned()
                    .collect::<Vec<_>>()
                    .join(" "),
                loss: of("Loss"),
                name,
                place,
            };
            incomplete.extend(missing(&message));
            messages.push(message);
        }
    }
    (messages, incomplete)
}

fn missing(message: &Message) -> Option<String> {
    let lines = [
        ("*Go*", &message.go),
        ("*From → to*", &message.from_to),
        ("*Reply* or *Follows*", &message.answer),
        ("*Loss*", &message.loss),
    ];
    let missing: Vec<_> = lines.iter().filter(|(_, text)| text.is_empty()).map(|(label, _)| *label).collect();
    let Message { name, place, .. } = message;
    (!missing.is_empty())
        .then(|| format!("{place}: the doc comment of `{name}` lacks {}", missing.join(", ")))
}

/// The structs that are messages, by line: those that derive `Message`, and those that implement it.
fn structs(code: &Code) -> Vec<(usize, String)> {
    let implemented: Vec<_> = after_all(&code.bare, "Message for ").collect();
    let mut derives = false;
    let mut found = Vec::new();
    for (at, line) in code.bare.lines().enumerate() {
        derives |= line.starts_with("#[derive(") && line.contains("Message");
        let declared = line.trim_start_matches("pub(crate) ").trim_start_matches("pub ");
        if let Some(rest) = declared.strip_prefix("struct ") {
            let name = word(rest);
            if derives || implemented.iter().any(|rest| word(rest) == name) {
                found.push((at, name.to_owned()));
            }
            derives = false;
        }
    }
    found
}

/// What the labelled bullets in the doc comment above a line say.
fn doc_lines(code: &Code, line: usize) -> BTreeMap<String, String> {
    let above: Vec<&str> = code.file.text.lines().take(line).collect();
    let is_above = |line: &&&str| line.starts_with("///") || line.starts_with("#[");
    let mut doc: Vec<&str> = above.iter().rev().take_while(is_above).copied().collect();
    doc.reverse();
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut label = None;
    for line in doc.iter().filter_map(|line| line.strip_prefix("///")).map(str::trim) {
        match line.strip_prefix("- *").and_then(|bullet| bullet.split_once("*: ")) {
            Some((name, text)) => {
                found.insert(name.to_owned(), plain(text));
                label = Some(name.to_owned());
            }
            None if line.is_empty() => label = None,
            None => {
                if let Some(text) = label.as_ref().and_then(|label| found.get_mut(label)) {
                    *text = format!("{text} {}", plain(line));
                }
            }
        }
    }
    found
}

/// Without links: `` [`Applied`](super::Applied) `` is `` `Applied` ``.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once("[`") {
        let Some((name, after)) = link.split_once("`]") else { break };
        plain.push_str(&format!("{before}`{name}`"));
        let target = after.strip_prefix('(').and_then(|target| target.split_once(')'));
        rest = target.map_or(after, |(_, after)| after);
    }
    plain + rest
}

/// Every actor that handles a message is named by it as a receiver, and every message has a handler.
pub(crate) fn check_receivers(messages: &[Message], library: &[Code]) -> Vec<String> {
    let handlers: Vec<(String, String)> = library.iter().flat_map(|code| handlers(&code.bare)).collect();
    let mut complaints = Vec::new();
    for message in messages {
        let Message { name, place, .. } = message;
        let mut actors =
            handlers.iter().filter(|(handled, _)| handled == name).map(|(_, actor)| actor).peekable();
        // What goes to an actor of the client's own has its handler there.
        let is_ours = !message.receivers().contains("client's own actor");
        if is_ours && actors.peek().is_none() {
            complaints.push(format!("{place}: no actor handles `{name}`"));
        }
        let receivers = message.receivers();
        let unnamed = actors.filter(|actor| !receivers.contains(actor.as_str()));
        complaints
            .extend(unnamed.map(|actor| format!("{place}: `{name}` does not say that {actor} receives it")));
    }
    complaints
}

/// Which message is handled by which actor: the names of the types, without their parameters.
fn handlers(bare: &str) -> Vec<(String, String)> {
    let pairs = after_all(bare, "Handler<").filter_map(|rest| {
        let end = closing(rest)?;
        let actor = rest[end + 1..].strip_prefix(" for ")?;
        let message = rest[..end].split('<').next()?.rsplit("::").next()?;
        Some((message.to_owned(), word(actor).to_owned()))
    });
    pairs.collect()
}

/// Where the `>` is that closes a `<` just before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1;
    for (at, c) in text.char_indices() {
        match c {
            '<' => depth += 1,
            '>' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// What stands behind each `mark`.
fn after_all<'a>(text: &'a str, mark: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(mark).map(move |(at, _)| &text[at + mark.len()..])
}

fn word(text: &str) -> &str {
    &text[..text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{code::without_tests, tree::File};

    const GOOD: &str = "//! Front.\n\n/// Do.\n///\n/// - *Go*: `doCh`.\n/// - *From → to*: Asker → Doer, or\n\
        ///   [`Other`](super::Other).\n/// - *Reply*: [`Done`].\n/// - *Loss*: asked\n///   again.\n\
        #[derive(Debug, Message)]\n#[rtype(result = \"()\")]\npub(crate) struct Do(u64);\n\n\
        /// No message.\nstruct Plain;\n";

    fn library(texts: &[(&str, &str)]) -> Vec<Code> {
        let file = |(path, text): &(&str, &str)| File { path: (*path).to_owned(), text: (*text).to_owned() };
        without_tests(&texts.iter().map(file).collect::<Vec<_>>())
    }

    #[test]
    fn the_four_lines_are_read_without_their_links() {
        let (messages, incomplete) = find(&library(&[("src/messages/a.rs", GOOD)]));
        assert_eq!(incomplete, [""; 0]);
        let [message] = &messages[..] else { panic!("one message: {messages:?}") };
        assert_eq!((message.name.as_str(), message.place.as_str()), ("Do", "src/messages/a.rs:13"));
        assert_eq!(message.from_to, "Asker → Doer, or `Other`.");
        assert_eq!((message.answer.as_str(), message.loss.as_str()), ("`Done`.", "asked again."));
    }

    #[test]
    fn a_missing_line_is_found() {
        for label in ["Go", "From → to", "Reply", "Loss"] {
            let bad = GOOD.replace(&format!("*{label}*"), "*What*");
            let (_, incomplete) = find(&library(&[("src/messages/a.rs", &bad)]));
            assert!(incomplete.len() == 1 && incomplete[0].contains(label), "{label}: {incomplete:?}");
        }
    }

    #[test]
    fn a_message_by_hand_is_a_message() {
        let text = "pub struct Get<Q>(pub Q);\nimpl<Q: 'static> Message for Get<Q> {}";
        let (messages, incomplete) = find(&library(&[("src/messages/a.rs", text)]));
        assert_eq!((messages.len(), incomplete.len()), (1, 1));
    }

    #[test]
    fn an_actor_that_handles_a_message_unnamed_is_found() {
        let wrong = |actor: &str| {
            let handler = format!("impl<S: M> actix::Handler<super::Do<S>> for {actor}<S> {{}}");
            let library = library(&[("src/messages/a.rs", GOOD), ("src/actors/b.rs", &handler)]);
            check_receivers(&find(&library).0, &library)
        };
        assert_eq!(wrong("Doer"), [""; 0]);
        assert_eq!(wrong("Asker"), ["src/messages/a.rs:13: `Do` does not say that Asker receives it"]);
        let alone = library(&[("src/messages/a.rs", GOOD)]);
        assert_eq!(check_receivers(&find(&alone).0, &alone), ["src/messages/a.rs:13: no actor handles `Do`"]);
    }

    #[test]
    fn itself_is_whoever_sends() {
        let text = GOOD.replace("Doer, or", "itself").replace("///   [`Other`](super::Other).\n", "");
        let library =
            library(&[("src/messages/a.rs", &text), ("src/actors/b.rs", "impl Handler<Do> for Asker {}")]);
        assert_eq!(check_receivers(&find(&library).0, &library), [""; 0]);
    }
}
