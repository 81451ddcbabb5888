//! How workflows write what they really did: one line at the begin of a step, one at its end.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    sync::OnceLock,
};

use crash_tests::log::{Line, Mark, wall};

static LOG: OnceLock<File> = OnceLock::new();

/// Opens the log of all processes of a test.
pub(crate) fn open(path: &Path) -> io::Result<()> {
    let log = File::options().create(true).append(true).open(path)?;
    LOG.get_or_init(|| log);
    Ok(())
}

/// Something that has begun. It ends when this is dropped; a process that is killed in between
/// leaves no line of it.
pub(crate) struct Span(String);

impl Span {
    pub(crate) fn enter(key: impl Into<String>) -> Self {
        let key = key.into();
        write(Mark::Enter, &key);
        Self(key)
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        write(Mark::Leave, &self.0);
    }
}

fn write(mark: Mark, key: &str) {
    let line = Line {
        at: wall(),
        pid: std::process::id(),
        mark,
        key: key.to_owned(),
    };
    // One write to a file that is opened to append: lines of several processes do not mix.
    let written = LOG
        .get()
        .map(|mut log| log.write_all(line.to_string().as_bytes()));
    if !matches!(written, Some(Ok(()))) {
        // Without its log a test proves nothing.
        std::process::abort();
    }
}
