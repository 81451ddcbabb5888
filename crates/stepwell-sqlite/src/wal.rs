//! Seeing soon that somebody has written: the write-ahead log beside the database is another one.
//!
//! SQLite tells nobody of a commit. Asking it costs a job in the writer's thread, so that is done ten
//! times a second; asking the file system when the log was last written costs a microsecond.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

/// The pause between two looks while there is something to see now and then, and while there is not:
/// looking 200 times a second would take an idle process a hundredth of a core.
const LOOK_PAUSE: (Duration, Duration) = (Duration::from_millis(4), Duration::from_millis(20));

/// How long after the last write the next one is expected.
const LIVELY: Duration = Duration::from_secs(2);

/// The write-ahead log of a database.
#[derive(Debug)]
pub(crate) struct Wal {
    path: PathBuf,
    seen: Mutex<Seen>,
}

/// What the last look saw.
#[derive(Debug, Default)]
struct Seen {
    stamp: Stamp,
    /// It was new then: what was written right after it may bear the same time.
    was_new: bool,
    /// When it was new last.
    new_at: Option<Instant>,
}

/// How long the log is, and when it was written; none if there is none.
type Stamp = Option<(u64, SystemTime)>;

impl Wal {
    pub(crate) fn of(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push("-wal");
        Self {
            path: path.into(),
            seen: Mutex::default(),
        }
    }

    /// Returns when it was written since the last return, and once more a moment later.
    pub(crate) async fn written(&self) {
        loop {
            tokio::time::sleep(self.pause()).await;
            if self.is_new() {
                return;
            }
        }
    }

    fn is_new(&self) -> bool {
        let stamp = self.stamp();
        let mut seen = self.seen();
        let was_new = seen.was_new;
        seen.was_new = seen.stamp != stamp;
        if seen.was_new {
            seen.stamp = stamp;
            seen.new_at = Some(Instant::now());
        }
        was_new || seen.was_new
    }

    fn pause(&self) -> Duration {
        let new_at = self.seen().new_at;
        let is_lively = new_at.is_some_and(|at| at.elapsed() < LIVELY);
        if is_lively {
            LOOK_PAUSE.0
        } else {
            LOOK_PAUSE.1
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stamp(&self) -> Stamp {
        let data = std::fs::metadata(&self.path).ok()?;
        Some((data.len(), data.modified().ok()?))
    }
}
