//! The lines of the output, in the order in which things happened.

use std::sync::{Arc, Mutex};

/// Collects lines. Clones write to the same trace.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    shared: Arc<Mutex<Lines>>,
}

#[derive(Debug, Default)]
struct Lines {
    text: String,
    indented: bool,
}

impl Trace {
    /// Adds a line.
    pub(crate) fn line(&self, line: impl AsRef<str>) {
        let mut lines = self.shared.lock().unwrap();
        if lines.indented {
            lines.text.push_str("  ");
        }
        lines.text.push_str(line.as_ref());
        lines.text.push('\n');
    }

    /// Whether the lines that follow are the effects of one before them.
    pub(crate) fn indent(&self, indented: bool) {
        self.shared.lock().unwrap().indented = indented;
    }

    /// Takes everything out.
    pub(crate) fn take(&self) -> String {
        std::mem::take(&mut self.shared.lock().unwrap().text)
    }
}
