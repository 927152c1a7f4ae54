//! Waiting for a condition: the only place here where time passes.

use std::time::{Duration, Instant};

/// How long a cluster may take for anything it is expected to do. Far more than it needs, for machines that
/// are busy with other tests.
const DEADLINE: Duration = Duration::from_secs(20);

/// Asks again and again until there is an answer, and returns it.
///
/// # Panics
/// If there is none in [`DEADLINE`]; says what was waited for.
pub(crate) fn eventually<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    eventually_within(DEADLINE, what, ask)
}

/// [`eventually`] with a deadline of its own.
#[expect(clippy::disallowed_methods, reason = "the processes under test live in real time")]
pub(crate) fn eventually_within<T>(deadline: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < deadline, "not within {deadline:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
