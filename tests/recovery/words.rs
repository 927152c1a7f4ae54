//! A state machine that keeps every word it was told, in order.

use std::io;

use actix::Message;
use raftix::prelude::*;
use serde::{Deserialize, Serialize};

/// Add a word; the answer is how many there are.
#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "u64")]
pub(crate) struct Say(pub(crate) String);

/// Every word so far.
#[derive(Message)]
#[rtype(result = "Vec<String>")]
pub(crate) struct Said;

#[derive(Clone, Default)]
pub(crate) struct Words(Vec<String>);

impl StateMachine for Words {
    type Command = Say;
    type Query = Said;

    fn apply(&mut self, _: LogId, Say(word): Say) -> u64 {
        self.0.push(word);
        self.0.len() as u64
    }

    fn query(&self, _: Said) -> Vec<String> {
        self.0.clone()
    }

    fn snapshot(&self) -> Option<Box<dyn StateSnapshot>> {
        Some(Box::new(self.clone()))
    }

    fn restore(&mut self, reader: &mut dyn io::Read) -> io::Result<()> {
        let mut text = String::new();
        reader.read_to_string(&mut text)?;
        self.0 = text.lines().map(str::to_owned).collect();
        Ok(())
    }
}

impl StateSnapshot for Words {
    fn persist(self: Box<Self>, writer: &mut dyn io::Write) -> io::Result<()> {
        self.0.iter().try_for_each(|word| writeln!(writer, "{word}"))
    }
}
