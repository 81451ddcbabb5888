//! The executors of one test, and who replaces them when they die.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tokio::time::Instant;

use crate::member::{Gone, Member};

/// How many executors there are.
pub(crate) const MEMBERS: usize = 3;

/// Where executors find what they need.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The database that keeps the workflows.
    pub(crate) store: String,
    /// The user's database.
    pub(crate) shop: String,
    /// The directory of the log, and of what they complain about.
    pub(crate) directory: PathBuf,
    /// The default if there is none.
    pub(crate) lease: Option<Duration>,
}

impl Places {
    /// What the workflows really did.
    pub(crate) fn log(&self) -> PathBuf {
        self.directory.join("steps.log")
    }

    fn complaints(&self) -> PathBuf {
        self.directory.join("fleet.log")
    }

    fn command(&self) -> Command {
        let complaints = fs::File::options()
            .create(true)
            .append(true)
            .open(self.complaints());
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleet"));
        command
            .args([&self.store, &self.shop])
            .arg(self.log())
            .env("RUST_LOG", "warn,stepwell_core=info")
            .stderr(complaints.unwrap());
        if let Some(lease) = self.lease {
            command.arg(format!("lease_ms={}", lease.as_millis()));
        }
        command
    }
}

/// A process that was killed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kill {
    pub(crate) pid: u32,
    /// By the wall clock, in nanoseconds.
    pub(crate) at: u64,
}

/// The executors of one test.
pub(crate) struct Fleet {
    places: Places,
    members: Vec<Member>,
    /// Those that are stopped, and when they go on.
    stopped: Vec<(u32, Instant)>,
    pub(crate) kills: Vec<Kill>,
    pub(crate) zombies: usize,
    /// How many could not begin, and were started again.
    pub(crate) not_begun: usize,
}

impl Fleet {
    pub(crate) async fn start(places: Places) -> Self {
        let mut members: Vec<Member> = (0..MEMBERS)
            .map(|_| Member::spawn(&mut places.command()))
            .collect();
        for member in &mut members {
            assert_eq!(member.says("ready").await, Ok(()), "an executor");
        }
        Self {
            places,
            members,
            stopped: Vec::new(),
            kills: Vec::new(),
            zombies: 0,
            not_begun: 0,
        }
    }

    /// Kills one, also one that is stopped, and starts another one in its place.
    pub(crate) fn kill(&mut self, index: usize) {
        let next = Member::spawn(&mut self.places.command());
        let mut member = std::mem::replace(&mut self.members[index], next);
        let pid = member.pid();
        let at = member.kill();
        self.kills.push(Kill { pid, at });
        self.stopped.retain(|(stopped, _)| *stopped != pid);
    }

    /// Stops one for a while, unless it is stopped.
    pub(crate) async fn stop(&mut self, index: usize, length: Duration) {
        let member = &mut self.members[index];
        let pid = member.pid();
        if member.gone().is_none() && !self.stopped.iter().any(|(stopped, _)| *stopped == pid) {
            member.stop().await;
            self.stopped.push((pid, Instant::now() + length));
            self.zombies += 1;
        }
    }

    /// Lets time pass, and does what is due in it: the stopped go on, who could not begin is started
    /// again.
    pub(crate) async fn pass(&mut self, length: Duration) {
        let end = Instant::now() + length;
        loop {
            self.tend();
            let due = self.stopped.iter().map(|(_, at)| *at).min();
            tokio::time::sleep_until(due.map_or(end, |due| due.min(end))).await;
            if Instant::now() >= end {
                return self.tend();
            }
        }
    }

    /// Lets everybody go on.
    pub(crate) async fn wake_all(&mut self) {
        while let Some(due) = self.stopped.iter().map(|(_, at)| *at).max() {
            self.pass(due.saturating_duration_since(Instant::now()))
                .await;
        }
    }

    fn tend(&mut self) {
        let now = Instant::now();
        for member in &mut self.members {
            let pid = member.pid();
            if self.stopped.iter().any(|(it, at)| *it == pid && *at <= now) {
                member.go_on();
            }
            match member.gone() {
                None => {}
                Some(Gone::NotBegun(_)) => {
                    self.not_begun += 1;
                    *member = Member::spawn(&mut self.places.command());
                }
                Some(Gone::Died(how)) => panic!("the executor {pid} died by itself: {how}"),
            }
        }
        self.stopped.retain(|(_, at)| *at > now);
    }

    /// Kills all, and nobody comes after them.
    pub(crate) fn kill_all(&mut self) {
        for member in &mut self.members {
            member.kill();
        }
        self.members.clear();
    }

    /// Ends all in order, and looks at what they complained about.
    pub(crate) async fn end(mut self) {
        for index in 0..self.members.len() {
            // The last one that was killed may have no successor yet that hears signals.
            while self.members[index].says("ready").await.is_err() {
                self.tend();
            }
            self.members[index].terminate().await;
        }
        let complaints = fs::read_to_string(self.places.complaints()).unwrap();
        let panics: Vec<_> = complaints
            .lines()
            .filter(|line| line.contains("panicked"))
            .collect();
        assert!(panics.is_empty(), "executors panicked: {panics:#?}");
    }
}

/// All that the executors wrote of what they did.
pub(crate) fn log(path: &Path) -> Vec<crash_tests::log::Line> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| line.parse().unwrap()).collect()
}
