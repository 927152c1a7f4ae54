//! Ports that nobody listens on.

use std::{
    net::TcpListener,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

/// Below the range that systems take the ports of outgoing connections from: a port of a node that is down
/// for a while must not become one of those, least of all that of a connection that looks for the node.
const FIRST: u32 = 10_000;
const COUNT: u32 = 22_000;

/// A port that is free now and is not handed out again by this process.
pub(crate) fn free_port() -> u16 {
    free_ports_in_a_row(1)
}

/// The first of `count` such ports in a row.
pub(crate) fn free_ports_in_a_row(count: u16) -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let own = process::id().wrapping_mul(97);
    for _ in 0..COUNT {
        let offset = own.wrapping_add(NEXT.fetch_add(u32::from(count), Ordering::Relaxed));
        let port = (FIRST + offset % COUNT) as u16;
        if (port..port + count).all(is_free) {
            return port;
        }
    }
    panic!("there are no {count} free ports in a row");
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}
