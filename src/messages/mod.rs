//! One file per Go channel or conversation: plain data, no logic. docs/channels.md is the table of them.

mod client;

pub use client::*;
