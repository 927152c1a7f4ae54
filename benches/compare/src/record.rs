//! What was measured, round by round, as the JSON files keep it: what a comparison goes on with when it is resumed, and
//! what a report puts together from several.

use std::{collections::BTreeMap, fs, path::Path};

use serde::{Deserialize, Serialize};

use crate::{
    cells::{self, Cell},
    floors::Floors,
    job::Sut,
    machine::Machine,
    outcome::Outcome,
    subject::Subject,
};

/// One round of one cell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Round {
    /// By who was measured and with which setting.
    pub(crate) outcomes: BTreeMap<Subject, BTreeMap<String, Outcome>>,
    pub(crate) floors: Vec<Floors>,
    /// Which pass through the cells it belongs to, the same in all cells of it: when that began, in milliseconds.
    #[serde(default)]
    pub(crate) pass: u64,
    /// Why the machine was not the same all the time, if it was not.
    pub(crate) disturbance: Option<String>,
}

impl Round {
    pub(crate) fn outcome(&self, subject: Subject, setting: &str) -> Option<&Outcome> {
        self.outcomes.get(&subject)?.get(setting)
    }

    /// The settings that a system was measured with.
    pub(crate) fn settings(&self, subject: Subject) -> impl Iterator<Item = &str> {
        self.outcomes.get(&subject).into_iter().flat_map(|settings| settings.keys().map(String::as_str))
    }
}

/// The rounds of one cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CellRounds {
    pub(crate) id: String,
    /// How large the work was, where that can be chosen.
    #[serde(default)]
    pub(crate) entries: u64,
    #[serde(default)]
    pub(crate) state_mib: u64,
    pub(crate) rounds: Vec<Round>,
}

/// Everything that was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) machine: Machine,
    pub(crate) versions: BTreeMap<String, String>,
    /// What it was measured with.
    pub(crate) commands: Vec<String>,
    pub(crate) cells: Vec<CellRounds>,
    /// Cells and systems that were not measured, each with the reason.
    pub(crate) left_out: BTreeMap<String, String>,
}

impl Record {
    /// Nothing yet, on this machine.
    pub(crate) fn here() -> Self {
        let allocator = if cfg!(feature = "mimalloc") { "mimalloc, small pages" } else { "of the system" };
        let systems = Sut::ALL.iter().map(|sut| (sut.name(), sut.version()));
        let versions = systems.chain([("allocator", allocator)]);
        Self {
            machine: Machine::here(),
            versions: versions.map(|(what, which)| (what.to_owned(), which.to_owned())).collect(),
            commands: Vec::new(),
            cells: Vec::new(),
            left_out: cells::NOT_MEASURED.map(|(what, why)| (what.to_owned(), why.to_owned())).into(),
        }
    }

    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let said = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = fs::read_to_string(path).map_err(|error| said(&error))?;
        serde_json::from_str(&text).map_err(|error| said(&error))
    }

    /// The rounds of a cell, so far none.
    pub(crate) fn rounds_of(&mut self, cell: &Cell) -> Result<&mut Vec<Round>, String> {
        let (entries, state_mib) = (cell.job.entries, cell.job.state_mib);
        let at = self.cells.iter().position(|known| known.id == cell.id).unwrap_or(self.cells.len());
        if at == self.cells.len() {
            self.cells.push(CellRounds { id: cell.id.clone(), entries, state_mib, rounds: Vec::new() });
        }
        let found = &mut self.cells[at];
        if (found.entries, found.state_mib) != (entries, state_mib) {
            return Err(format!("{} was measured with another size before", cell.id));
        }
        Ok(&mut found.rounds)
    }

    /// Takes in what else was measured, further rounds of the same cells too.
    pub(crate) fn merge(&mut self, other: Self) -> Result<(), String> {
        if self.machine != other.machine {
            return Err(format!("measured on two machines: {} and {}", self.machine, other.machine));
        }
        if self.versions != other.versions {
            return Err("measured with different versions".to_owned());
        }
        for cell in other.cells {
            match self.cells.iter_mut().find(|known| known.id == cell.id) {
                None => self.cells.push(cell),
                Some(known) if (known.entries, known.state_mib) != (cell.entries, cell.state_mib) => {
                    return Err(format!("{} was measured with two sizes", cell.id));
                }
                Some(known) => known.rounds.extend(cell.rounds),
            }
        }
        self.left_out.extend(other.left_out);
        self.add_commands(other.commands);
        Ok(())
    }

    pub(crate) fn add_commands(&mut self, commands: impl IntoIterator<Item = String>) {
        for command in commands {
            if !self.commands.contains(&command) {
                self.commands.push(command);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_rounds(count: usize) -> Record {
        let mut record = Record::here();
        let cell = &cells::all()[0];
        let settings = BTreeMap::from([("shipped".to_owned(), Outcome::default())]);
        let round = Round { outcomes: [(Subject::OURS, settings)].into(), ..Round::default() };
        *record.rounds_of(cell).expect("nothing was measured") = vec![round; count];
        record
    }

    #[test]
    fn a_record_is_read_back_from_its_json() {
        let record = with_rounds(2);
        let text = serde_json::to_string(&record).expect("plain data");
        assert_eq!(serde_json::from_str::<Record>(&text).expect("it was written so"), record);
    }

    #[test]
    fn rounds_of_a_cell_from_two_files_are_put_together() {
        let mut record = with_rounds(2);
        record.merge(with_rounds(3)).expect("the same machine");
        assert_eq!((record.cells.len(), record.cells[0].rounds.len()), (1, 5));
    }

    #[test]
    fn another_machine_another_version_and_another_size_are_refused() {
        let (mut machine, mut version, mut size) = (with_rounds(1), with_rounds(1), with_rounds(1));
        machine.machine = serde_json::from_str(r#"{"cpu":"x","cores":1,"kernel":"y"}"#).expect("a machine");
        version.versions.insert("etcd".to_owned(), "0".to_owned());
        size.cells[0].entries = 7;
        for other in [machine, version, size] {
            assert!(with_rounds(1).merge(other).is_err());
        }
    }
}
