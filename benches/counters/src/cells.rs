//! What is counted. A cell's name is stable: the baseline has it.

/// How the nodes are joined, and where their logs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// All on one thread, in memory, in virtual time: the same counts at every run.
    Memory,
    /// Over loopback, a thread for each follower; logs in memory.
    Tcp,
    /// The same with logs on disk.
    Disk,
}

/// One load on one cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) id: &'static str,
    pub(crate) place: Place,
    pub(crate) nodes: usize,
    pub(crate) clients: u64,
    /// How many operations are counted.
    pub(crate) ops: u64,
}

/// Bytes in each command.
pub(crate) const PAYLOAD: usize = 256;

const CELLS: [Cell; 6] = [
    Cell { id: "memory-c1", place: Place::Memory, nodes: 3, clients: 1, ops: 20_000 },
    Cell { id: "memory-c64", place: Place::Memory, nodes: 3, clients: 64, ops: 100_000 },
    // More nodes, so that it shows what is done once for all of them and what for each.
    Cell { id: "memory-7-nodes-c64", place: Place::Memory, nodes: 7, clients: 64, ops: 100_000 },
    Cell { id: "tcp-c1", place: Place::Tcp, nodes: 3, clients: 1, ops: 10_000 },
    Cell { id: "tcp-c64", place: Place::Tcp, nodes: 3, clients: 64, ops: 100_000 },
    Cell { id: "disk-c64", place: Place::Disk, nodes: 3, clients: 64, ops: 40_000 },
];

impl Cell {
    pub(crate) fn named(id: &str) -> Result<Self, String> {
        CELLS.into_iter().find(|cell| cell.id == id).ok_or_else(|| format!("no cell is called {id}"))
    }

    /// Whether every run counts the same.
    pub(crate) fn is_exact(&self) -> bool {
        self.place == Place::Memory
    }
}

/// Cells whose names begin with one of these; all if there is none.
pub(crate) fn select(beginnings: &[String]) -> Result<Vec<Cell>, String> {
    let wanted = |cell: &Cell| {
        beginnings.is_empty() || beginnings.iter().any(|beginning| cell.id.starts_with(beginning.as_str()))
    };
    let cells: Vec<Cell> = CELLS.into_iter().filter(wanted).collect();
    if cells.is_empty() {
        Err(format!("no cell's name begins with {}", beginnings.join(" or ")))
    } else {
        Ok(cells)
    }
}
