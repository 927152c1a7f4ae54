//! Which cells a comparison is asked for.

use crate::{
    cells::{self, Cell, NOT_MEASURED},
    job::{Log, Task},
    targets,
};

/// What a claim stands on: each kind of write at one, many and very many clients, and the reads beside them.
fn gate(cell: &Cell) -> bool {
    let job = &cell.job;
    let closed = job.task == Task::Load && job.rate == 0.0 && job.cuts == 0 && job.log != Log::Slow;
    let few = if job.reads { job.clients == 64 } else { matches!(job.clients, 1 | 64 | 1024) };
    closed && few && targets::is_held_to_any(cell) || cell.id.starts_with("W1o-c")
}

/// The cells that are asked for: `gate`, `targets`, `all`, or beginnings of names that end where a part of a name does.
pub(crate) fn select(wanted: &str) -> Result<Vec<Cell>, String> {
    let mut selected = Vec::new();
    for part in wanted.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        if let Some((_, why)) = NOT_MEASURED.iter().find(|(id, _)| *id == part) {
            return Err(format!("{part} is not available: {why}"));
        }
        let wanted = |cell: &Cell| match part {
            "all" => true,
            "gate" => gate(cell),
            "targets" => targets::is_held_to_any(cell),
            _ => cell.id.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('-')),
        };
        let found: Vec<_> = cells::all().into_iter().filter(wanted).collect();
        if found.is_empty() {
            return Err(format!("no cell is called {part}; `--cells list` shows them"));
        }
        for cell in found {
            if !selected.iter().any(|known: &Cell| known.id == cell.id) {
                selected.push(cell);
            }
        }
    }
    Ok(selected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(wanted: &str) -> Vec<String> {
        select(wanted).expect("it names cells").into_iter().map(|cell| cell.id).collect()
    }

    #[test]
    fn a_beginning_names_all_cells_that_have_it_and_no_longer_word() {
        assert_eq!(ids("W2-c1"), ["W2-c1"]);
        assert_eq!(ids("W2-open").len(), 2);
        assert!(ids("W1").iter().all(|id| !id.starts_with("W1o")));
    }

    #[test]
    fn the_gate_has_each_kind_of_write_and_the_reads() {
        let gate = ids("gate");
        for id in ["W1o-c4096", "W1o-own-c64", "W1-c64", "W2-c1024", "W3-c1", "W6-c64"] {
            assert!(gate.contains(&id.to_owned()), "{id} is not in {gate:?}");
        }
    }

    #[test]
    fn what_is_not_available_says_why() {
        assert!(select("W10").expect_err("there are no groups").contains("groups"));
        assert!(select("W99").is_err());
    }

    #[test]
    fn what_is_named_twice_is_measured_once() {
        assert_eq!(ids("W2-c1,W2"), ids("W2-c1,W2,gate")[..ids("W2").len()]);
        assert_eq!(ids("W8,W8"), ["W8"]);
    }
}
