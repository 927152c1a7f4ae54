//! Workers that take the next seed from a counter, so that a long run holds nobody up.

use std::{
    io,
    ops::Range,
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

/// How often the caller is called even if no seed is done.
const TICK: Duration = Duration::from_millis(200);

/// Does `work` for every seed, on so many threads. `done` is told on the caller's own thread: a seed and what
/// came of it, in the order in which they end, and now and then nothing at all.
pub(crate) fn each<T: Send>(
    seeds: Range<u64>,
    jobs: usize,
    work: impl Fn(u64) -> T + Sync,
    mut done: impl FnMut(Option<(u64, T)>),
) -> io::Result<()> {
    let count = seeds.end - seeds.start;
    // Counts from zero: whoever adds to the last seed must not begin anew at the first.
    let taken = AtomicU64::new(0);
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        for number in 0..count.min(jobs as u64) {
            let (tell, taken, work) = (tell.clone(), &taken, &work);
            thread::Builder::new().name(format!("worker-{number}")).spawn_scoped(scope, move || {
                loop {
                    let next = taken.fetch_add(1, Ordering::Relaxed);
                    if next >= count {
                        return;
                    }
                    let seed = seeds.start + next;
                    if tell.send((seed, work(seed))).is_err() {
                        return;
                    }
                }
            })?;
        }
        drop(tell);
        loop {
            match told.recv_timeout(TICK) {
                Ok(result) => done(Some(result)),
                Err(RecvTimeoutError::Timeout) => done(None),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_is_done_once_up_to_the_last() -> io::Result<()> {
        for (seeds, jobs) in [(5..50, 4), (0..2, 8), (u64::MAX - 3..u64::MAX, 2)] {
            let mut done = Vec::new();
            each(seeds.clone(), jobs, |seed| seed, |result| done.extend(result))?;
            done.sort_unstable();
            assert!(done.iter().map(|(seed, _)| *seed).eq(seeds));
            assert!(done.iter().all(|(seed, result)| seed == result));
        }
        Ok(())
    }
}
