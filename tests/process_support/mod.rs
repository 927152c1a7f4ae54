//! What every test of real processes needs: the processes themselves, nodes, HTTP, waiting.

mod cluster;
mod http;
mod node;
mod ports;
mod process;
mod wait;

pub(crate) use cluster::Cluster;
pub(crate) use http::{Client, Reply, encode};
pub(crate) use node::Node;
pub(crate) use ports::{free_port, free_ports_in_a_row};
pub(crate) use process::{Process, signal};
pub(crate) use wait::{eventually, eventually_within};
