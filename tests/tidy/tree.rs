//! The files of the repository.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::code::{self, Code};

/// A text and where it is, from the root of the repository, with forward slashes.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    /// Whether the path is `place`, or in the folder `place/`.
    pub(crate) fn is_in(&self, place: &str) -> bool {
        self.path == place || place.ends_with('/') && self.path.starts_with(place)
    }
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// What the library is compiled from, without its tests.
pub(crate) fn library() -> Vec<Code> {
    code::without_tests(&read_all(&["src"], &["rs"]))
}

/// Every Rust file.
pub(crate) fn everything() -> Vec<File> {
    read_all(&["src", "tests", "examples", "benches"], &["rs"])
}

/// Every text that a reader may open.
pub(crate) fn texts() -> Vec<File> {
    let folders = ["src", "tests", "examples", "benches", "docs", ".ci"];
    let mut texts = read_all(&folders, &["rs", "md", "toml", "sh", "html", "go", "mod"]);
    texts.extend(files_in(&root(), false, &["rs", "md", "toml"]).iter().map(|path| read(path)));
    texts
}

/// The records of decisions.
pub(crate) fn decisions() -> Vec<File> {
    read_all(&["docs/adr"], &["md"])
}

/// The text of one file, if it is there.
pub(crate) fn text_of(path: &str) -> Option<String> {
    fs::read_to_string(root().join(path)).ok()
}

fn read_all(folders: &[&str], endings: &[&str]) -> Vec<File> {
    let folders = folders.iter().map(|folder| root().join(folder));
    folders.flat_map(|folder| files_in(&folder, true, endings)).map(|path| read(&path)).collect()
}

fn read(path: &Path) -> File {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let inner = path.strip_prefix(root()).expect("within the repository");
    File { path: inner.display().to_string().replace('\\', "/"), text }
}

fn files_in(folder: &Path, deep: bool, endings: &[&str]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return files };
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            if deep {
                files.extend(files_in(&path, deep, endings));
            }
        } else if path.extension().is_some_and(|found| endings.iter().any(|ending| found == *ending)) {
            files.push(path);
        }
    }
    files
}
