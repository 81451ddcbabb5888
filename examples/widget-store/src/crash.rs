//! The crash button: a real SIGKILL, now, in the middle of a transaction, or every five seconds.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};
use stepwell::{ExecutorId, Timestamp};

/// How often the chaos strikes.
const CHAOS_EVERY: Duration = Duration::from_secs(5);

/// How the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CrashMode {
    /// At once.
    Now,
    /// In the next transaction: its statements are done, its commit is not.
    Transaction,
    /// Every five seconds.
    Chaos,
    /// Not by the button: a panic, a signal from elsewhere.
    Accident,
}

impl CrashMode {
    /// In words: "the process died …".
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Now => "by kill -9",
            Self::Transaction => "in the middle of a transaction",
            Self::Chaos => "by the chaos",
            Self::Accident => "by accident",
        }
    }

    /// The word that the page and the table use.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Transaction => "transaction",
            Self::Chaos => "chaos",
            Self::Accident => "accident",
        }
    }
}

/// One death of the process, as its supervisor saw it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Crash {
    /// When.
    pub at: Timestamp,
    /// Who died.
    pub pid: u32,
    /// How.
    pub mode: CrashMode,
    /// Who it was for Stepwell, if it came so far as to say so.
    pub executor: Option<ExecutorId>,
}

/// What a supervisor hands to the next worker, in the environment.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Life {
    /// The supervisor's process.
    pub(crate) supervisor: u32,
    /// Whether the chaos goes on.
    pub(crate) chaos: bool,
    /// The deaths since a worker last became ready.
    pub(crate) crashes: Vec<Crash>,
}

impl Life {
    /// The environment variable.
    pub(crate) const VARIABLE: &str = "WIDGET_STORE_LIFE";
}

/// What the button has set. Cheap to clone; all clones are one switch.
#[derive(Debug, Clone, Default)]
pub struct CrashSwitch(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    armed: AtomicBool,
    chaos: AtomicBool,
}

impl CrashSwitch {
    /// A switch as the process before has left it.
    #[must_use]
    pub fn with_chaos(chaos: bool) -> Self {
        let switch = Self::default();
        switch.set_chaos(chaos);
        switch
    }

    /// Whether the next transaction is to be cut in the middle.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        self.0.armed.load(Ordering::Relaxed)
    }

    /// Whether the process dies every five seconds.
    #[must_use]
    pub fn is_chaos(&self) -> bool {
        self.0.chaos.load(Ordering::Relaxed)
    }

    /// Cuts the next transaction in the middle.
    pub fn arm(&self) {
        self.0.armed.store(true, Ordering::Relaxed);
    }

    /// Begins or ends the chaos.
    pub fn set_chaos(&self, chaos: bool) {
        self.0.chaos.store(chaos, Ordering::Relaxed);
        if !chaos {
            self.0.armed.store(false, Ordering::Relaxed);
        }
    }

    /// The place where an armed crash strikes.
    pub(crate) fn before_commit(&self) {
        if self.is_armed() {
            die(CrashMode::Transaction);
        }
    }

    /// Dies every five seconds as long as there is chaos.
    pub(crate) async fn cause_chaos(self) {
        loop {
            tokio::time::sleep(CHAOS_EVERY).await;
            if self.is_chaos() {
                die(CrashMode::Chaos);
            }
        }
    }
}

/// Kills this process: no destructor runs, nothing is flushed, no connection is closed in order.
pub(crate) fn die(mode: CrashMode) -> ! {
    tell(&Word::Dying(mode));
    // If the kill should fail, the abort is as sudden.
    let _ = kill_process(getpid(), Signal::KILL);
    std::process::abort()
}

/// What the worker tells its supervisor: a line of JSON on its standard output, which is a pipe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Word {
    /// Who it is for Stepwell, so that its successor knows what it had.
    Executor(ExecutorId),
    /// It serves.
    Ready,
    /// It is about to kill itself.
    Dying(CrashMode),
    /// The chaos began or ended; the next process goes on with it.
    Chaos(bool),
}

/// Tells the supervisor. If it is gone, nobody needs to know.
pub(crate) fn tell(word: &Word) {
    if let Ok(line) = serde_json::to_string(word) {
        let mut stdout = std::io::stdout().lock();
        let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    }
}
