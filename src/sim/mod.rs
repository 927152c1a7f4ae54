//! Simulated surroundings, for tests of Raftix and of what users build on it. Feature `sim`.

pub mod vfs;
