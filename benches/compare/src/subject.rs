//! Who is measured in a cell.

use serde::{Deserialize, Serialize};

use crate::job::Sut;

/// A system, or the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) enum Subject {
    System(Sut),
    Limit,
}

impl Subject {
    pub(crate) const OURS: Self = Self::System(Sut::Raftix);

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::System(sut) => sut.name(),
            Self::Limit => "limit",
        }
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.name().to_owned()
    }
}

impl TryFrom<String> for Subject {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let systems = Sut::ALL.map(Self::System);
        let mut all = systems.into_iter().chain([Self::Limit]);
        all.find(|subject| subject.name() == name).ok_or_else(|| format!("nobody is called {name}"))
    }
}
