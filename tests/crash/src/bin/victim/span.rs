//! How workflows write what they really did: one line at the begin of a step, one at its end.

use std::{
    fs::File,
    io::{self, Write},
    sync::OnceLock,
    time::Duration,
};

use crash_tests::{
    Files,
    log::{Line, Mark, now},
};

struct Open {
    files: Files,
    log: File,
}

static OPEN: OnceLock<Open> = OnceLock::new();

/// Opens the log of all processes of a test.
pub(crate) fn open(files: &Files) -> io::Result<()> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(files.log())?;
    let files = files.clone();
    OPEN.get_or_init(|| Open { files, log });
    Ok(())
}

/// Whether the steps that wait at the gate may go on.
pub(crate) fn gate_is_open() -> bool {
    OPEN.get().is_some_and(|open| open.files.gate().exists())
}

/// Returns when the steps that wait at the gate may go on.
pub(crate) async fn gate() {
    while !gate_is_open() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
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
        at: now(),
        pid: std::process::id(),
        mark,
        key: key.to_owned(),
    };
    // One write to a file that is opened to append: lines of several processes do not mix.
    let written = OPEN
        .get()
        .map(|open| (&open.log).write_all(line.to_string().as_bytes()));
    if !matches!(written, Some(Ok(()))) {
        // Without its log a test proves nothing.
        std::process::abort();
    }
}
