//! What the scripts are played on: whole nodes, each with a clock of its own, on one thread, with a network
//! and disks that do what the script says and nothing else.
//!
//! | file | holds |
//! |---|---|
//! | `runner` | the commands of a script |
//! | `world` | the nodes, and the order in which things happen |
//! | `node` | one node: its runtime, its clock, its disk and its clients |
//! | `network` | every request and every answer, held until it is delivered or dropped |
//! | `disk` | the store, and what it says when it is flushed |
//! | `register` | the state machine: variables that are set and read |
//! | `describe` | messages and states in words |
//! | `trace` | the lines of the output |

mod describe;
mod disk;
mod network;
mod node;
mod register;
mod runner;
mod trace;
mod world;

pub(crate) use runner::Script;
