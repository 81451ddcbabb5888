//! One executor as a process.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crash_tests::log::wall;
use rustix::process::{Pid, Signal, kill_process};

/// How long an executor may take to begin, or to end, before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long to wait before a condition is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// A process that runs workflows. Dropped, it is killed.
pub(crate) struct Member {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

/// How a process ended that nobody killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Gone {
    /// It could not begin, and said why.
    NotBegun(String),
    /// It had begun.
    Died(String),
}

impl Member {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let output = child.stdout.take().unwrap();
        let said = Arc::<Mutex<Vec<String>>>::default();
        let reader = thread::spawn({
            let said = Arc::clone(&said);
            move || listen(output, &said)
        });
        Self {
            child,
            said,
            reader: Some(reader),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has said this, or has ended. Answers which.
    pub(crate) async fn says(&mut self, what: &str) -> Result<(), Gone> {
        let began = Instant::now();
        loop {
            let gone = self.gone();
            if self.said.lock().unwrap().iter().any(|line| line == what) {
                return Ok(());
            }
            if let Some(gone) = gone {
                return Err(gone);
            }
            assert!(
                began.elapsed() < PATIENCE,
                "waited {PATIENCE:?} in vain for `{what}` from the executor {}",
                self.pid()
            );
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// How it ended, if it did.
    pub(crate) fn gone(&mut self) -> Option<Gone> {
        let status = self.child.try_wait().unwrap()?;
        if let Some(reader) = self.reader.take() {
            // Its pipe is closed: what is left of what it said arrives.
            reader.join().unwrap();
        }
        let said = self.said.lock().unwrap();
        let failed = said.iter().find_map(|line| line.strip_prefix("failed "));
        Some(match failed {
            Some(why) => Gone::NotBegun(why.to_owned()),
            None => Gone::Died(format!("{status}, after it said {said:?}")),
        })
    }

    /// `kill -9`. Answers when it was sent, by the wall clock in nanoseconds.
    pub(crate) fn kill(&mut self) -> u64 {
        let at = wall();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        at
    }

    /// SIGTERM, and waits for an orderly end.
    pub(crate) async fn terminate(&mut self) {
        self.signal(Signal::TERM);
        let stopped = self.says("stopped").await;
        assert_eq!(stopped, Ok(()), "{} did not stop in order", self.pid());
        assert!(self.child.wait().unwrap().success());
    }

    /// SIGSTOP, and waits until none of its threads runs.
    pub(crate) async fn stop(&self) {
        self.signal(Signal::STOP);
        let began = Instant::now();
        while !self.is_stopped() {
            assert!(began.elapsed() < PATIENCE, "a process cannot be stopped");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// SIGCONT.
    pub(crate) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn is_stopped(&self) -> bool {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        tasks.map_while(Result::ok).all(|task| {
            let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            // The state follows the name, which is in parentheses.
            stat.rsplit_once(") ")
                .is_none_or(|(_, rest)| rest.starts_with('T'))
        })
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // Also a stopped one dies of it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(output: ChildStdout, said: &Mutex<Vec<String>>) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        said.lock().unwrap().push(line);
    }
}
