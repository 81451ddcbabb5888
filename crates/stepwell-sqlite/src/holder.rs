//! Who holds the write lock of a file that a statement has waited for in vain.

use std::path::Path;

/// Who holds the lock, as far as the system tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    /// Another connection of this process: a transaction of the application's.
    ThisProcess,
    /// Another process, by its number.
    Process(u32),
    /// The system does not tell, or nobody does any more.
    Unknown,
}

/// The byte of the `-shm` file that is locked while somebody writes to the log (`WAL_WRITE_LOCK`).
const WRITE_LOCK: u64 = 120;

impl Holder {
    /// Asks the system. The file itself is not opened: closing it would let go of all locks that this
    /// process has on it.
    #[cfg(target_os = "linux")]
    pub(crate) fn of(file: &Path) -> Self {
        use std::os::unix::fs::MetadataExt;

        let mut shared = file.as_os_str().to_owned();
        shared.push("-shm");
        let (Ok(shared), Ok(locks)) = (
            std::fs::metadata(shared),
            std::fs::read_to_string("/proc/locks"),
        ) else {
            return Self::Unknown;
        };
        let holder = locks.lines().find_map(|line| holder_in(line, shared.ino()));
        match holder {
            Some(pid) if pid == std::process::id() => Self::ThisProcess,
            Some(pid) if pid > 0 => Self::Process(pid),
            _ => Self::Unknown,
        }
    }

    /// Asks the system, which does not tell.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn of(_file: &Path) -> Self {
        Self::Unknown
    }

    /// Why the lock is not to be had, and what to do.
    pub(crate) fn explain(self) -> String {
        match self {
            Self::ThisProcess => {
                "a transaction of this process, on another connection, keeps it locked; \
                 end it first, or start and send in that transaction (`start_in`, `send_in`)"
                    .to_owned()
            }
            Self::Process(pid) => format!("the process {pid} keeps it locked"),
            Self::Unknown => "another connection keeps it locked: of another process, or an open \
                 transaction of this one, in which `start_in` and `send_in` can start and send"
                .to_owned(),
        }
    }
}

/// The process that holds the write lock of the file with an inode, if a line of `/proc/locks` says it:
/// `1: POSIX  ADVISORY  WRITE 4242 fe:00:9978065 120 120`. Lines with an arrow are of those that wait.
#[cfg(target_os = "linux")]
fn holder_in(line: &str, inode: u64) -> Option<u32> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let is_held = words.next()? == "POSIX" && words.next().is_some() && words.next()? == "WRITE";
    let pid = words.next()?.parse().ok()?;
    let of = words.next()?.rsplit(':').next()?.parse::<u64>().ok()?;
    let from: u64 = words.next()?.parse().ok()?;
    let to = words.next()?;
    let to = if to == "EOF" {
        u64::MAX
    } else {
        to.parse().ok()?
    };
    (is_held && of == inode && (from..=to).contains(&WRITE_LOCK)).then_some(pid)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_holder_is_found_in_the_systems_list() {
        let check = |line, expected| assert_eq!(holder_in(line, 77), expected, "{line}");
        check(
            "1: POSIX  ADVISORY  WRITE 4242 fe:00:77 120 120",
            Some(4242),
        );
        check("1: POSIX  ADVISORY  WRITE 4242 fe:00:77 0 EOF", Some(4242));
        check("1: -> POSIX  ADVISORY  WRITE 4242 fe:00:77 120 120", None);
        check("1: POSIX  ADVISORY  READ 4242 fe:00:77 120 120", None);
        check("1: POSIX  ADVISORY  WRITE 4242 fe:00:78 120 120", None);
        check("1: POSIX  ADVISORY  WRITE 4242 fe:00:77 123 123", None);
        check("1: FLOCK  ADVISORY  WRITE 4242 fe:00:77 0 EOF", None);
        check("", None);
    }
}
