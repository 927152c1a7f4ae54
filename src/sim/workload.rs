//! What clients do to a simulated cluster: the user's state machine, and what is asked of it.

use super::{
    history::{Action, Checkable, History, Operation},
    oracle::Violation,
};

/// A state machine under test and its clients. A machine that has snapshots writes the same bytes for the same state.
///
/// What every run checks by itself: every state machine sees the same commands in the same order, each once;
/// every reply and every answer is what a fresh machine gives at that place of the log; no answer is older than
/// what its client could know; every snapshot is the state at its index. [`check`](Self::check) is for what only the user knows.
pub trait Workload: Clone + Send + 'static {
    /// The state machine.
    type Machine: Checkable;
    /// What one client does.
    type Client: Client<Self::Machine>;

    /// A fresh state machine, as every start of a node gets.
    fn machine(&self) -> Self::Machine;

    /// The client of this number; what it draws follows from `seed`.
    fn client(&self, number: u64, seed: u64) -> Self::Client;

    /// What else must hold of a whole history.
    ///
    /// # Errors
    /// What does not.
    fn check(&self, history: &History<Self::Machine>) -> Result<(), Violation> {
        let _ = history;
        Ok(())
    }
}

/// One client: asks one thing after the other.
pub trait Client<S: Checkable>: 'static {
    /// What it asks next.
    fn next_action(&mut self) -> Action<S>;

    /// How what it asked ended.
    fn saw(&mut self, operation: &Operation<S>) {
        let _ = operation;
    }
}
