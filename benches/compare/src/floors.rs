//! What the machine can do at the moment, measured before and after each cell: a disturbed cell is done again.

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::FileExt,
    path::Path,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

/// The least time of the three things that a replicated write waits for, as medians in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Floors {
    /// Writing 4 KiB in allocated space and flushing it.
    pub(crate) fdatasync_us: f64,
    /// 16 bytes there and back over loopback TCP between two threads.
    pub(crate) round_trip_us: f64,
    /// Waking a thread that waits and being woken by it.
    pub(crate) wake_us: f64,
}

const BLOCK: usize = 4096;

impl Floors {
    /// Takes about a tenth of a second, unless the disk is slow.
    pub(crate) fn probe(directory: &Path) -> std::io::Result<Self> {
        Ok(Self { fdatasync_us: fdatasync(directory)?, round_trip_us: round_trip()?, wake_us: wake() })
    }

    /// Whether both of a pair show about the same machine; the disk counts where it is used.
    pub(crate) fn is_like(&self, other: &Self, with_disk: bool) -> bool {
        let near = |one: f64, two: f64| (one - two).abs() <= one.min(two) * 0.15;
        near(self.round_trip_us, other.round_trip_us)
            && near(self.wake_us, other.wake_us)
            && (!with_disk || near(self.fdatasync_us, other.fdatasync_us))
    }
}

fn fdatasync(directory: &Path) -> std::io::Result<f64> {
    let path = directory.join("floor");
    let file = File::options().create(true).write(true).truncate(true).open(&path)?;
    let times = 100;
    file.write_all_at(&vec![1; BLOCK * times], 0)?;
    file.sync_all()?;
    let median = median_of(times, |number| {
        file.write_all_at(&[2; BLOCK], (number * BLOCK) as u64)?;
        file.sync_data()
    });
    fs::remove_file(path)?;
    median
}

fn round_trip() -> std::io::Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut near = TcpStream::connect(listener.local_addr()?)?;
    let (mut far, _) = listener.accept()?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let echo = thread::spawn(move || {
        let mut bytes = [0; 16];
        while far.read_exact(&mut bytes).is_ok() && far.write_all(&bytes).is_ok() {}
    });
    let median = median_of(1000, |_| {
        near.write_all(&[7; 16])?;
        near.read_exact(&mut [0; 16])
    });
    drop(near);
    echo.join().expect("the echo ends with its connection");
    median
}

fn wake() -> f64 {
    let (there, far) = mpsc::channel::<()>();
    let (back, near) = mpsc::channel::<()>();
    let echo = thread::spawn(move || while far.recv().is_ok() && back.send(()).is_ok() {});
    let median = median_of(1000, |_| {
        let _ = there.send(());
        let _ = near.recv();
        Ok(())
    });
    drop(there);
    echo.join().expect("the echo ends with its channel");
    median.expect("nothing in it fails")
}

fn median_of(times: usize, mut one: impl FnMut(usize) -> std::io::Result<()>) -> std::io::Result<f64> {
    let mut taken = Vec::with_capacity(times);
    for number in 0..times {
        let began = Instant::now();
        one(number)?;
        taken.push(began.elapsed());
    }
    taken.sort();
    Ok(taken[times / 2].as_secs_f64() * 1e6)
}

/// Processor time as the system counts it, in ticks over all cores.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ticks {
    total: f64,
    busy: f64,
    stolen: f64,
    ours: f64,
}

impl Ticks {
    pub(crate) fn now() -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        Self::parse(&stat, &own)
    }

    fn parse(stat: &str, own: &str) -> Self {
        let numbers =
            |text: &str| -> Vec<f64> { text.split_whitespace().filter_map(|n| n.parse().ok()).collect() };
        // user nice system idle iowait irq softirq steal
        let all = numbers(stat.lines().next().unwrap_or_default());
        let total: f64 = all.iter().take(8).sum();
        let idle: f64 = all.iter().skip(3).take(2).sum();
        let stolen = all.get(7).copied().unwrap_or_default();
        let after_name = own.rsplit(')').next().unwrap_or_default();
        // utime stime cutime cstime: children count once they were waited for.
        let fields: Vec<&str> = after_name.split_whitespace().skip(11).take(4).collect();
        Self { total, busy: total - idle - stolen, stolen, ours: numbers(&fields.join(" ")).iter().sum() }
    }

    /// Why what ran since `before` was disturbed, if it was.
    pub(crate) fn disturbance(&self, before: &Self) -> Option<String> {
        let total = (self.total - before.total).max(1.0);
        let stolen = (self.stolen - before.stolen) / total;
        let foreign = ((self.busy - before.busy) - (self.ours - before.ours)) / total;
        if stolen > 0.02 {
            return Some(format!("{:.0} % of the processor was stolen", stolen * 100.0));
        }
        (foreign > 0.05).then(|| format!("others used {:.0} % of the processor", foreign * 100.0))
    }
}

/// Waits a moment after a disturbance.
pub(crate) fn settle() {
    thread::sleep(Duration::from_secs(1));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floors_are_alike_within_a_margin_and_the_disk_counts_where_it_is_used() {
        let one = Floors { fdatasync_us: 100.0, round_trip_us: 10.0, wake_us: 10.0 };
        assert!(one.is_like(&Floors { round_trip_us: 11.0, ..one }, true));
        assert!(!one.is_like(&Floors { wake_us: 12.0, ..one }, true));
        let slow_disk = Floors { fdatasync_us: 200.0, ..one };
        assert!(one.is_like(&slow_disk, false) && !one.is_like(&slow_disk, true));
    }

    #[test]
    fn stolen_and_foreign_time_are_told_from_our_own() {
        let own = |ticks: u32| format!("1 (a b) R 0 0 0 0 0 0 0 0 0 0 {ticks} 0 0 0 20");
        let before = Ticks::parse("cpu 0 0 0 0 0 0 0 0", &own(0));
        let quiet = Ticks::parse("cpu 90 0 0 110 0 0 0 0", &own(90));
        let foreign = Ticks::parse("cpu 90 0 0 110 0 0 0 0", &own(50));
        let stolen = Ticks::parse("cpu 90 0 0 100 0 0 0 10", &own(90));
        assert_eq!(quiet.disturbance(&before), None);
        assert!(foreign.disturbance(&before).is_some_and(|why| why.contains("others")));
        assert!(stolen.disturbance(&before).is_some_and(|why| why.contains("stolen")));
    }
}
