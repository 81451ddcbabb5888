//! What a process has used, from `/proc`.

use std::{fs, time::Duration};

/// Jiffies per second in `/proc`; 100 on every Linux that people run.
const JIFFIES: f64 = 100.0;

/// The CPU time that this process has used, user and system.
pub(crate) fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    cpu_in(&stat, 2)
}

/// The CPU time in a line of `/proc/<process>/stat`: user and system, and with four fields also
/// what children had used that have ended.
pub(crate) fn cpu_in(stat: &str, fields: usize) -> Duration {
    let jiffies: f64 = after_the_name(stat)
        .skip(11)
        .take(fields)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    Duration::from_secs_f64(jiffies / JIFFIES)
}

/// The name of a program may hold spaces; what follows it does not.
pub(crate) fn after_the_name(stat: &str) -> impl Iterator<Item = &str> {
    stat.rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
}

/// The memory of this process that is in RAM, in bytes.
pub(crate) fn resident_bytes() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap_or_default();
    let kibibytes = line
        .split_whitespace()
        .next()
        .and_then(|number| number.parse::<f64>().ok());
    kibibytes.unwrap_or_default() * 1024.0
}
