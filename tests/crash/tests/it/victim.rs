//! A process that a test starts, talks to, and kills.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Instant,
};

use crash_tests::log::now;
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    place::Place,
    wait::{PATIENCE, until},
};

/// A running victim. Dropped, it is killed.
pub(crate) struct Victim {
    child: Child,
    commands: Option<ChildStdin>,
    heard: Arc<Heard>,
    reader: Option<JoinHandle<()>>,
}

/// What a victim has said so far.
#[derive(Default)]
struct Heard {
    said: Mutex<Said>,
    more: Condvar,
}

impl Heard {
    /// What was said, also after a test has given up while it looked at it.
    fn lock(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct Said {
    lines: Vec<String>,
    /// It has closed its output: it is dead, or about to be.
    over: bool,
}

/// The victim was dead before it said what it was listened to for.
#[derive(Debug)]
pub(crate) struct Died;

impl Victim {
    /// Starts a victim with settings such as `lease_ms=1000`.
    pub(crate) fn spawn(place: &Place, settings: &[String]) -> Self {
        let mut child = place
            .victim()
            .args(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let heard = Arc::new(Heard::default());
        let output = child.stdout.take().unwrap();
        let reader = thread::spawn({
            let heard = Arc::clone(&heard);
            move || listen(output, &heard)
        });
        Self {
            commands: child.stdin.take(),
            child,
            heard,
            reader: Some(reader),
        }
    }

    /// Starts a victim and waits until it runs workflows.
    pub(crate) fn ready(place: &Place, settings: &[String]) -> Self {
        let victim = Self::spawn(place, settings);
        victim.hear("ready");
        victim
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells it a command. One that is dead does not hear it.
    pub(crate) fn tell(&mut self, command: &str) {
        if let Some(commands) = &mut self.commands {
            let _ = commands.write_all(format!("{command}\n").as_bytes());
        }
    }

    /// Waits for a line that begins like this, and answers the rest of it.
    pub(crate) fn listen_for(&self, begin: &str) -> Result<String, Died> {
        let began = Instant::now();
        let mut said = self.heard.lock();
        loop {
            let found = said.lines.iter().find_map(|line| line.strip_prefix(begin));
            if let Some(rest) = found {
                return Ok(rest.trim_start().to_owned());
            }
            if said.over {
                return Err(Died);
            }
            let left = PATIENCE.saturating_sub(began.elapsed());
            let lines = &said.lines;
            assert!(
                !left.is_zero(),
                "waited {PATIENCE:?} in vain for `{begin}` from the victim {}; it said {lines:?}",
                self.pid()
            );
            said = self.heard.more.wait_timeout(said, left).unwrap().0;
        }
    }

    /// As [`listen_for`](Self::listen_for), of a victim that has no reason to die.
    #[track_caller]
    pub(crate) fn hear(&self, begin: &str) -> String {
        match self.listen_for(begin) {
            Ok(rest) => rest,
            Err(Died) => panic!(
                "the victim {} died before it said `{begin}`; it said {:?}",
                self.pid(),
                self.lines()
            ),
        }
    }

    /// Whether it says a line that begins like this before an instant. One that dies is silent.
    pub(crate) fn listen_until(&self, begin: &str, until: Instant) -> bool {
        let mut said = self.heard.lock();
        loop {
            if said.lines.iter().any(|line| line.starts_with(begin)) {
                return true;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            said = self.heard.more.wait_timeout(said, left).unwrap().0;
        }
    }

    /// What it has said so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.heard.lock().lines.clone()
    }

    /// `kill -9`. Answers when it was sent, by the clock of the log.
    pub(crate) fn kill(&mut self) -> u64 {
        let at = now();
        self.child.kill().unwrap();
        self.wait();
        at
    }

    /// Waits for its end, and until all that it said was heard.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let status = until("the end of a victim", || self.child.try_wait().unwrap());
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        status
    }

    /// Whether it is dead already.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// SIGTERM: it may hand over.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// SIGSTOP, and waits until none of its threads runs.
    pub(crate) fn stop(&self) {
        self.signal(Signal::STOP);
        self.stopped();
    }

    /// Waits until it has been stopped, by whomever.
    pub(crate) fn stopped(&self) {
        until("a victim that is stopped", || {
            self.is_stopped().then_some(())
        });
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

impl Drop for Victim {
    fn drop(&mut self) {
        // Also a stopped one dies of it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(output: ChildStdout, heard: &Heard) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        heard.lock().lines.push(line);
        heard.more.notify_all();
    }
    heard.lock().over = true;
    heard.more.notify_all();
}
