//! What the numbers were measured on, and what the process used.

use std::{fs, path::Path, time::Duration};

/// Jiffies per second in `/proc`; 100 on every Linux that people run.
const JIFFIES: f64 = 100.0;

/// One line about the machine.
pub(crate) fn describe(directory: &Path) -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!(
        "{cores} cores, load {}, files on {}",
        load(),
        file_system(directory)
    )
}

/// The load averages.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace()
        .take(3)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The type of the file system with the longest mount point that holds the directory.
fn file_system(directory: &Path) -> String {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let holding = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (point, kind) = (fields.next()?, fields.next()?);
        directory.starts_with(point).then_some((point.len(), kind))
    });
    holding.max().map_or_else(
        || "an unknown file system".to_owned(),
        |(_, kind)| kind.to_owned(),
    )
}

/// The CPU time that this process has used, user and system.
pub(crate) fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program may hold spaces; what follows it does not.
    let fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    let jiffies: f64 = fields
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    Duration::from_secs_f64(jiffies / JIFFIES)
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
