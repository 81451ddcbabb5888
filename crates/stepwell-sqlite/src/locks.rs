//! Whether an executor's process is still there: each holds a lock on a file of its own.
//!
//! The operating system frees the lock when the process ends, however it ends. Whoever can take
//! another executor's lock knows that its process is gone, long before the lease ends. The host's
//! name does not matter: a file that two machines can reach is refused when the database is opened,
//! so every process that sees the lock shares one kernel.

use std::{
    collections::HashMap,
    fs::{self, DirBuilder, File, TryLockError},
    io,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use stepwell_core::{ExecutorId, limits::NAME_BYTES_MAX};

/// The locks that this store holds, in a directory beside the database.
#[derive(Debug)]
pub(crate) struct Locks {
    directory: PathBuf,
    held: Mutex<HashMap<ExecutorId, File>>,
}

impl Locks {
    /// The locks of a database file: in `<file>.locks`.
    pub(crate) fn beside(database: &std::path::Path) -> Self {
        let mut directory = database.as_os_str().to_owned();
        directory.push(".locks");
        Self {
            directory: directory.into(),
            held: Mutex::default(),
        }
    }

    /// Takes an executor's lock, before its row exists: a live row always has a lock.
    pub(crate) fn take(&self, executor: &ExecutorId) -> io::Result<()> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.contains_key(executor) {
            return Ok(());
        }
        let path = self.path(executor).ok_or(io::ErrorKind::InvalidInput)?;
        self.make_directory()?;
        let file = File::create(path)?;
        file.try_lock()?;
        held.insert(executor.clone(), file);
        Ok(())
    }

    /// Makes the directory, for its owner alone.
    fn make_directory(&self) -> io::Result<()> {
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(&self.directory)
    }

    /// Whether an executor's process is gone.
    ///
    /// No file says nothing: somebody has cleaned up, and the lease decides.
    pub(crate) fn is_gone(&self, executor: &ExecutorId) -> bool {
        // Opened for writing, because some systems lock nothing else exclusively.
        let Some(path) = self.path(executor) else {
            return false;
        };
        let Ok(file) = File::options().write(true).open(path) else {
            return false;
        };
        match file.try_lock() {
            // Free again when `file` is dropped: nobody asks for this lock but those who look.
            Ok(()) => true,
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
        }
    }

    /// Gives an executor's lock back after its end and removes its file.
    pub(crate) fn remove(&self, executor: &ExecutorId) {
        self.held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(executor);
        // A file that stays is garbage, not a danger: no id is used twice.
        self.remove_file(executor);
    }

    fn remove_file(&self, executor: &ExecutorId) {
        if let Some(path) = self.path(executor) {
            let _ = fs::remove_file(path);
        }
    }

    /// Removes the file of an executor that was declared dead, if its process is gone. One that is
    /// only slow keeps its lock until it hears of its end.
    pub(crate) fn remove_if_gone(&self, executor: &ExecutorId) {
        if self.is_gone(executor) {
            self.remove_file(executor);
        }
    }

    /// The file of an executor's lock. None for an id that was made elsewhere than in an executor: it
    /// was read from the database, and a file that somebody crafted must lead nowhere else.
    fn path(&self, executor: &ExecutorId) -> Option<PathBuf> {
        let id = executor.as_str();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let is_name = !id.is_empty() && id.len() <= NAME_BYTES_MAX && id.bytes().all(is_plain);
        is_name.then(|| self.directory.join(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_from_a_crafted_database_leads_to_no_other_file() {
        let place = tempfile::tempdir().unwrap();
        let precious = place.path().join("precious");
        fs::write(&precious, "precious").unwrap();
        let locks = Locks::beside(&place.path().join("shop.db"));
        fs::create_dir_all(&locks.directory).unwrap();
        for id in [
            precious.to_str().unwrap(),
            "../precious",
            "",
            ".",
            "a/../../precious",
        ] {
            let executor = ExecutorId::from_stored(id.to_owned());
            assert!(!locks.is_gone(&executor), "{id}");
            locks.remove_if_gone(&executor);
            locks.remove(&executor);
            assert!(locks.take(&executor).is_err(), "{id}");
        }
        assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
        let executor = ExecutorId::generate();
        locks.take(&executor).unwrap();
        assert!(!locks.is_gone(&executor));
        locks.remove(&executor);
        assert_eq!(fs::read_dir(&locks.directory).unwrap().count(), 0);
    }
}
