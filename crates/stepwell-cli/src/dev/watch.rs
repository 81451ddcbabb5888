//! Hears of changes of a program's source.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};
use tokio::sync::mpsc;

use super::sources::Sources;
use crate::exit::Problem;

/// An editor writes several files, or one in several strokes: a build begins when none was written
/// for this long.
const QUIET: Duration = Duration::from_millis(100);

/// Changes of the source, one after the other.
#[derive(Debug)]
pub(super) struct Changes {
    watcher: RecommendedWatcher,
    sources: Arc<RwLock<Sources>>,
    watched: HashSet<PathBuf>,
    /// One place: ten changes that nobody has looked at are one change.
    heard: mpsc::Receiver<()>,
}

impl Changes {
    /// Begins to listen.
    pub(super) fn watch(sources: Sources) -> Result<Self, Problem> {
        let packages = sources.packages.clone();
        let sources = Arc::new(RwLock::new(sources));
        let known = Arc::clone(&sources);
        let (told, heard) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let known = known.read().unwrap_or_else(PoisonError::into_inner);
            // What cannot be heard exactly counts as a change: to build once too often does no harm.
            if event.is_ok_and(|event| !is_change(&event, &known)) {
                return;
            }
            // If it is full, a change is waiting to be looked at, which has not happened yet.
            let _ = told.try_send(());
        });
        let mut changes = Self {
            watcher: watcher.map_err(|error| not_watched(Path::new("."), &error))?,
            sources,
            watched: HashSet::new(),
            heard,
        };
        for package in packages {
            changes.listen(&package.join("src"), RecursiveMode::Recursive)?;
            changes.listen(&package, RecursiveMode::NonRecursive)?;
        }
        Ok(changes)
    }

    /// Also listens to what a build has read.
    pub(super) fn follow(&mut self, files: &HashSet<PathBuf>) -> Result<(), Problem> {
        let directories: HashSet<_> = files.iter().filter_map(|file| file.parent()).collect();
        for directory in directories {
            self.listen(directory, RecursiveMode::NonRecursive)?;
        }
        let mut sources = self.sources.write().unwrap_or_else(PoisonError::into_inner);
        sources.files.clone_from(files);
        Ok(())
    }

    fn listen(&mut self, directory: &Path, mode: RecursiveMode) -> Result<(), Problem> {
        if !directory.is_dir() || !self.watched.insert(directory.to_owned()) {
            return Ok(());
        }
        let listening = self.watcher.watch(directory, mode);
        listening.map_err(|error| not_watched(directory, &error))
    }

    /// Waits for a change, and until nothing more changes. Dropped while it waits, nothing is lost
    /// but a change that the next build would have seen anyway.
    pub(super) async fn next(&mut self) {
        if self.heard.recv().await.is_none() {
            // The watcher is ours and lives as long as we do.
            return std::future::pending().await;
        }
        while tokio::time::timeout(QUIET, self.heard.recv()).await.is_ok() {}
    }
}

/// Whether an event changes the source. To read a file is none, or a build would ask for the next.
fn is_change(event: &Event, sources: &Sources) -> bool {
    let is_written = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    };
    is_written && event.paths.iter().any(|path| sources.have(path))
}

fn not_watched(directory: &Path, error: &notify::Error) -> Problem {
    Problem::failure(format!("could not watch `{}`", directory.display()))
        .because(error)
        .hint("on Linux the limit may be too low: raise `fs.inotify.max_user_watches`")
}
