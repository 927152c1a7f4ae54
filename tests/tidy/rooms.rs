//! The table: what each room may use of the others, and of the world outside.

/// A folder or file of `src/`.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) name: &'static str,
    /// The rooms it may use beside itself.
    pub(crate) uses: &'static [&'static str],
    /// Which of [`WATCHED`] it may name.
    pub(crate) outside: &'static [&'static str],
}

/// What ties a room to a runtime, a clock, a thread or a system. Everything else may be named by all.
pub(crate) const WATCHED: &[&str] = &[
    "actix",
    "actix::dev",
    "actix_rt",
    "fastrand",
    "getrandom",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "tokio",
];

const fn room(name: &'static str, uses: &'static [&'static str], outside: &'static [&'static str]) -> Room {
    Room { name, uses, outside }
}

/// Every room, each below those it uses.
#[rustfmt::skip]
pub(crate) const ROOMS: &[Room] = &[
    room("known_bug",     &[], &[]),
    room("types",         &[], &[]),
    room("config",        &[], &[]),
    room("inspect",       &[], &[]),
    room("clock",         &[], &["std::time::Instant", "std::time::SystemTime", "tokio"]),
    room("protocol",      &["known_bug", "types"], &["fastrand"]),
    room("state_machine", &["types"], &["actix"]),
    room("storage",       &["known_bug", "types"], &["getrandom", "std::fs", "std::process", "std::thread"]),
    room("wire",          &["types"], &[]),
    room("transport",     &["types", "wire"], &["fastrand", "std::net", "tokio"]),
    room("mailbox",       &["inspect"], &["actix", "actix::dev", "tokio"]),
    room("error",         &["config", "storage", "transport", "types"], &[]),
    room("board",         &["clock", "error", "transport", "types", "wire"], &["tokio"]),
    room("metrics",       &["board", "clock", "transport", "types"], &["tokio"]),
    room("log",           &["known_bug", "protocol", "storage", "types"], &[]),
    room("messages",      &["board", "config", "error", "inspect", "log", "mailbox", "protocol", "state_machine",
                            "storage", "transport", "types"],
                          &["actix"]),
    room("actors",        &["board", "clock", "config", "error", "known_bug", "log", "mailbox", "messages",
                            "metrics", "protocol", "state_machine", "storage", "transport", "types"],
                          &["actix", "actix_rt", "std::thread", "tokio"]),
    room("system",        &["actors", "board", "clock", "config", "error", "inspect", "log", "mailbox", "messages",
                            "protocol", "state_machine", "storage", "transport", "types"],
                          &["actix", "actix_rt", "getrandom", "std::thread"]),
    room("sim",           &["actors", "board", "clock", "config", "error", "messages", "state_machine", "storage",
                            "system", "transport", "types", "wire"],
                          &["actix", "fastrand", "std::thread", "tokio"]),
];
