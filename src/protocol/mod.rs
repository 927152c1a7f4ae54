//! The Raft paper as pure structs: no actix, I/O, clock, randomness or thread.
