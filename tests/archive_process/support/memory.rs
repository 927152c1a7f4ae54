//! How much memory a process has, as the system counts it.

use std::fs;

/// What the process with this number has at the moment, in KiB.
pub(crate) fn resident_kib(process: u32) -> u64 {
    kib(process, "VmRSS:")
}

/// What it had at most since [`forget_peak`], in KiB.
pub(crate) fn peak_kib(process: u32) -> u64 {
    kib(process, "VmHWM:")
}

/// The peak counts from now on.
pub(crate) fn forget_peak(process: u32) {
    fs::write(format!("/proc/{process}/clear_refs"), "5").unwrap();
}

fn kib(process: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
