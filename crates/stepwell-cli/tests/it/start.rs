//! `stepwell start`: with programs that crash, end, drain.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::transcript::{shell, text};

/// Runs `stepwell start` on a shell script.
fn start(options: &str, script: &str, place: &Path) -> Command {
    shell(
        &format!("exec stepwell start {options} -- sh -c '{script}'"),
        "",
        place,
    )
}

fn run(options: &str, script: &str) -> Output {
    let place = tempfile::tempdir().unwrap();
    start(options, script, place.path()).output().unwrap()
}

#[test]
fn a_program_that_crashes_is_started_again_until_it_ends_well() {
    let output = run(
        "",
        "echo x >> lives; test $(wc -l < lives) -ge 3 || kill -9 $$; cat lives",
    );
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(text(&output.stdout), "x\nx\nx\n");
    let said = text(&output.stderr);
    assert_eq!(said.matches("was killed by SIGKILL").count(), 2, "{said}");
    assert!(said.contains("starting it again in 100 ms"), "{said}");
    assert!(said.contains("starting it again in 200 ms"), "{said}");
}

#[test]
fn a_program_that_dies_at_once_again_and_again_is_given_up() {
    let output = run("--give-up-after 3", "echo x; exit 7");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "x\nx\nx\n", "three lives and no more");
    let said = text(&output.stderr);
    assert!(
        said.contains("died 3 times in a row at its start"),
        "{said}"
    );
    assert!(said.contains("exit code 7"), "{said}");
    assert!(said.contains("hint: "), "{said}");
}

#[test]
fn what_cannot_be_started_is_not_tried_again() {
    let place = tempfile::tempdir().unwrap();
    let run = |line| shell(line, "", place.path()).output().unwrap();
    let output = run("stepwell start -- ./nowhere");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("could not start `./nowhere`"),
        "{output:?}"
    );
    let output = run("stepwell start");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("nothing says what to start"),
        "{output:?}"
    );
}

/// A supervisor with a program below it, whose lines are read.
struct Running {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn new(script: &str, place: &Path) -> Self {
        let mut child = start("", script, place)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        self.lines.next().unwrap().unwrap()
    }

    fn send(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }
}

#[test]
fn a_signal_is_passed_on_and_the_drain_is_waited_for() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let place = tempfile::tempdir().unwrap();
        // It drains until it is told that it may end.
        let script = "trap \"echo draining; read line < go; echo drained; exit 5\" TERM INT; \
             mkfifo go; echo up; while true; do sleep 0.01; done";
        let mut running = Running::new(script, place.path());
        assert_eq!(running.line(), "up");
        running.send(signal);
        assert_eq!(running.line(), "draining", "{signal}");
        assert_eq!(
            running.child.try_wait().unwrap(),
            None,
            "it waits for the drain"
        );
        std::fs::write(place.path().join("go"), "\n").unwrap();
        assert_eq!(running.line(), "drained");
        let status = running.child.wait().unwrap();
        assert_eq!(
            status.code(),
            Some(5),
            "the program's own, and it is not started again"
        );
    }
}

/// A program that dies by the signal that was passed on has stopped, not crashed.
#[test]
fn a_program_that_does_not_drain_is_not_started_again() {
    let place = tempfile::tempdir().unwrap();
    let mut running = Running::new("echo up; while true; do sleep 0.01; done", place.path());
    assert_eq!(running.line(), "up");
    running.send(Signal::SIGTERM);
    assert_eq!(running.child.wait().unwrap().code(), Some(128 + 15));
    assert!(running.lines.next().is_none(), "nobody runs any more");
}
