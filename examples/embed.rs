//! The smallest program: a replicated running total, on one node, in memory.

use actix::Message;
use raftix::prelude::*;
use serde::{Deserialize, Serialize};

/// Add to the total; the answer is the new total.
#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "u64")]
struct Add(u64);

/// Ask for the total.
#[derive(Message)]
#[rtype(result = "u64")]
struct Total;

#[derive(Default)]
struct Counter(u64);

impl StateMachine for Counter {
    type Command = Add;
    type Query = Total;

    fn apply(&mut self, _: LogId, Add(amount): Add) -> u64 {
        self.0 += amount;
        self.0
    }

    fn query(&self, _: Total) -> u64 {
        self.0
    }
}

#[actix::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let raft = RaftSystem::builder("n1").in_memory().state_machine(Counter::default()).start().await?;
    raft.leader_elected().await; // a future, not a sleep
    assert_eq!(raft.send(Apply(Add(40))).await??, 40);
    assert_eq!(raft.send(Apply(Add(2))).await??, 42);
    assert_eq!(raft.send(Read(Total)).await??, 42); // linearizable, without a log entry
    println!("{:?}", raft.status());
    raft.send(Shutdown).await?;
    Ok(())
}
