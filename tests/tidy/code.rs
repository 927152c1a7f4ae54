//! Rust source as bare code: comments, strings and tests turned to blanks, every line where it was.

use std::collections::BTreeSet;

use crate::tree::File;

/// A file and what is left of it.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    pub(crate) file: File,
    /// Without comments and the inside of strings; the same length as the text, byte by byte.
    pub(crate) bare: String,
}

impl Code {
    /// The folder or file in `src/` that this belongs to.
    pub(crate) fn room(&self) -> &str {
        let inner = self.file.path.trim_start_matches("src/");
        inner.split('/').next().unwrap_or(inner).trim_end_matches(".rs")
    }

    /// How many modules the file lies below the root of the crate.
    pub(crate) fn depth(&self) -> usize {
        let inner = self.file.path.trim_start_matches("src/");
        inner.split('/').count() - usize::from(inner.ends_with("/mod.rs"))
    }

    /// `path:line` of a byte of the code.
    pub(crate) fn place(&self, at: usize) -> String {
        format!("{}:{}", self.file.path, 1 + self.bare[..at].matches('\n').count())
    }
}

/// The files as bare code, without what only tests compile.
pub(crate) fn without_tests(files: &[File]) -> Vec<Code> {
    let mut tests = BTreeSet::new();
    let mut all: Vec<Code> = Vec::new();
    for file in files {
        let (bare, modules) = cut_tests(bare(&file.text));
        let folder = folder_of_modules(&file.path);
        tests.extend(modules.into_iter().map(|module| format!("{folder}/{module}")));
        all.push(Code { file: file.clone(), bare });
    }
    let is_test = |path: &str| {
        tests.iter().any(|test| path == format!("{test}.rs") || path.starts_with(&format!("{test}/")))
    };
    all.retain(|code| !is_test(&code.file.path));
    all
}

/// Where the files of a file's child modules are.
fn folder_of_modules(path: &str) -> String {
    let stem = path.trim_end_matches(".rs");
    ["/mod", "/lib"].iter().find_map(|end| stem.strip_suffix(end)).unwrap_or(stem).to_owned()
}

/// Blanks out every item under `#[cfg(test)]`, and names the modules among them that are files.
fn cut_tests(mut bare: String) -> (String, Vec<String>) {
    const MARK: &str = "#[cfg(test)]";
    let mut modules = Vec::new();
    while let Some(from) = bare.find(MARK) {
        let to = end_of_item(&bare, from + MARK.len());
        let item = bare[from + MARK.len()..to].trim();
        let name = item.split_once("mod ").map(|(_, name)| name.trim_end_matches(';').trim());
        if let (Some(name), true) = (name, item.ends_with(';')) {
            modules.push(name.to_owned());
        }
        let blank: String = bare[from..to].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        bare.replace_range(from..to, &blank);
    }
    (bare, modules)
}

/// Just behind the `;` or the closing brace that ends the item beginning at `from`.
fn end_of_item(bare: &str, from: usize) -> usize {
    let (mut braces, mut others) = (0, 0);
    for (at, c) in bare[from..].char_indices() {
        match c {
            '(' | '[' => others += 1,
            ')' | ']' => others -= 1,
            '{' => braces += 1,
            '}' => braces -= 1,
            _ => {}
        }
        if braces == 0 && others == 0 && matches!(c, ';' | '}') {
            return from + at + 1;
        }
    }
    bare.len()
}

/// Turns comments and the inside of strings and characters to blanks.
pub(crate) fn bare(text: &str) -> String {
    let mut bare = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let blank = blank_length(rest, bare.chars().next_back());
        let length = blank.max(next.len_utf8());
        match blank {
            0 => bare.push(next),
            _ => bare.extend(rest[..blank].bytes().map(|b| if b == b'\n' { '\n' } else { ' ' })),
        }
        rest = &rest[length..];
    }
    bare
}

/// How many bytes at the front of `rest` are a comment, a string or a character; 0 if it is code.
fn blank_length(rest: &str, before: Option<char>) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return end_of_block_comment(rest);
    }
    if rest.starts_with('"') {
        return end_of_quoted(rest, '"');
    }
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if !in_word && (rest.starts_with("r\"") || rest.starts_with("r#") || rest.starts_with("br")) {
        return end_of_raw_string(rest);
    }
    if rest.starts_with('\'') {
        let mut ahead = rest.chars().skip(1);
        let (first, second) = (ahead.next(), ahead.next());
        if first == Some('\\') || second == Some('\'') {
            return end_of_quoted(rest, '\'');
        }
    }
    0
}

fn end_of_block_comment(rest: &str) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < rest.len() {
        match &rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn end_of_quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn end_of_raw_string(rest: &str) -> usize {
    let hashes = rest.trim_start_matches(['b', 'r']);
    let count = hashes.len() - hashes.trim_start_matches('#').len();
    let Some(inside) = hashes[count..].strip_prefix('"') else { return 0 };
    let end = format!("\"{}", "#".repeat(count));
    let begin = rest.len() - inside.len();
    inside.find(&end).map_or(rest.len(), |at| begin + at + end.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn comments_and_strings_are_no_code() {
        let text =
            "a(\"x.unwrap()\"); // b\n/* c /* d */ e */ f('\"', '\\'', r#\"g\"h\"#, &'i j) \"k\\\"l\" m";
        let bare = bare(text);
        assert_eq!(bare.split_whitespace().collect::<String>(), "a();f(,,,&'ij)m");
        assert_eq!(bare.len(), text.len());
        assert_eq!(bare.matches('\n').count(), 1);
    }

    #[test]
    fn tests_are_not_part_of_the_library() {
        let code = without_tests(&[
            file(
                "src/a/mod.rs",
                "#[cfg(test)]\nmod tests;\nfn a() {}\n#[cfg(test)]\nfn b(x: [u8; 2]) { c() }\nd();",
            ),
            file("src/a/tests.rs", "e()"),
            file("src/a/tests/more.rs", "f()"),
            file("src/b.rs", "g()\n#[cfg(test)]\nmod inline { h(); }"),
        ]);
        let left: Vec<_> = code.iter().map(|code| code.bare.split_whitespace().collect::<String>()).collect();
        assert_eq!(left, ["fna(){}d();", "g()"]);
        assert_eq!(code[0].place(code[0].bare.find("d()").expect("it is left")), "src/a/mod.rs:6");
    }

    #[test]
    fn a_file_knows_its_room_and_its_depth() {
        let of = |path: &str| {
            let code = Code { file: file(path, ""), bare: String::new() };
            (code.room().to_owned(), code.depth())
        };
        assert_eq!(of("src/clock.rs"), ("clock".to_owned(), 1));
        assert_eq!(of("src/wire/mod.rs"), ("wire".to_owned(), 1));
        assert_eq!(of("src/storage/wal/open.rs"), ("storage".to_owned(), 3));
    }
}
