//! Identifiers and positions. Each is its own type, so that a term is never taken for an index.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// The name of a node, unique in its cluster for ever (hashicorp/raft's `ServerID`).
///
/// Votes and acknowledgements are keyed by it, never by an address. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct NodeId(Arc<str>);

impl NodeId {
    /// The longest name a node may have, in bytes.
    pub const BYTES_MAX: usize = 255;

    /// Stands for whoever is found at an address, where its name is not known. No node is called so.
    pub fn anybody() -> Self {
        Self::from("")
    }

    /// Whether this is [`anybody`](Self::anybody).
    pub fn is_anybody(&self) -> bool {
        self.0.is_empty()
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for NodeId {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl From<String> for NodeId {
    fn from(name: String) -> Self {
        Self(name.into())
    }
}

impl From<NodeId> for String {
    fn from(id: NodeId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// Zero: before the first.
            pub const ZERO: Self = Self(0);

            /// The number itself.
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The one after.
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }

            /// The one before; zero stays zero.
            pub const fn prev(self) -> Self {
                Self(self.0.saturating_sub(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// A term: Raft's logical clock (Raft §5.1). Zero is before the first election.
    Term
}
number! {
    /// A position in the log. The first entry has index 1; zero means "none" (Raft §5.3).
    LogIndex
}
number! {
    /// One Raft group among several that share a process. Zero today.
    GroupId
}

impl LogIndex {
    /// The index `entries` further on.
    pub const fn plus(self, entries: u64) -> Self {
        Self(self.0 + entries)
    }

    /// How many entries lie in `(earlier, self]`; zero if `earlier` is not earlier.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A position in the log together with the term that wrote it.
///
/// Ordered as candidates are compared: by term, then by index (Raft §5.4.1).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LogId {
    /// Term of the entry.
    pub term: Term,
    /// Index of the entry.
    pub index: LogIndex,
}

impl LogId {
    /// Before the first entry.
    pub const ZERO: Self = Self { term: Term::ZERO, index: LogIndex::ZERO };

    /// The position `index` written in `term`.
    pub const fn new(term: Term, index: LogIndex) -> Self {
        Self { term, index }
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.index, self.term)
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub u128);

        impl $name {
            /// Not known, or not drawn yet.
            pub const NONE: Self = Self(0);

            /// Whether this is [`Self::NONE`].
            pub const fn is_none(self) -> bool {
                self.0 == 0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:08x}", (self.0 >> 96) as u32)
            }
        }
    };
}

random_id! {
    /// Which cluster a log belongs to: a hash of its first entry, [`NONE`](Self::NONE) on a blank node.
    ClusterId
}
random_id! {
    /// Which life of a data directory a node speaks for: drawn once when the directory is made.
    ///
    /// A node that lost its directory comes back with another incarnation, so that the votes and
    /// acknowledgements it gave before are never counted for what it holds now.
    Incarnation
}

impl ClusterId {
    /// The cluster whose first entry has this data: every node derives the same id.
    pub fn of(first_entry_data: &[u8]) -> Self {
        Self(xxhash_rust::xxh3::xxh3_128(first_entry_data))
    }
}
