//! The program as its reader runs it: stopped half way, and run again.

#![allow(
    clippy::unwrap_used,
    reason = "what a test expects and does not get ends the test"
)]

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

/// The URL of a server that tests may do anything to.
const SERVER: &str = "STEPWELL_TEST_POSTGRES";

fn program(url: &str) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_hello"));
    program.env("DATABASE_URL", url).stdout(Stdio::piped());
    program
}

/// Kills the program while it brews a cup, and lets it run to its end afterwards.
fn stop_half_way_and_run_again(url: &str) {
    let mut first = program(url).spawn().unwrap();
    let mut lines = BufReader::new(first.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "brewing cup 3"));
    first.kill().unwrap();
    first.wait().unwrap();

    let second = program(url).output().unwrap();
    assert!(second.status.success());
    let said = String::from_utf8(second.stdout).unwrap();
    for cup in 1..=2 {
        assert!(!said.contains(&format!("brewing cup {cup}")), "{said}");
    }
    for cup in 4..=5 {
        assert!(said.contains(&format!("brewing cup {cup}")), "{said}");
    }
    let served = r#"served: ["cup 1", "cup 2", "cup 3", "cup 4", "cup 5"]"#;
    assert_eq!(said.lines().last(), Some(served));
}

#[test]
fn it_goes_on_where_it_stopped_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("breakfast.db");
    stop_half_way_and_run_again(&format!("sqlite:{}", file.display()));
}

#[test]
fn it_goes_on_where_it_stopped_on_postgres() {
    let Ok(server) = std::env::var(SERVER) else {
        // Not `eprintln!`: what passes must not hide what was left out.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED on Postgres: {SERVER} names no server; run \
             tests/with-postgres cargo test -p hello"
        );
        return;
    };
    let schema = format!("hello_{}", std::process::id());
    stop_half_way_and_run_again(&format!("{server}?schema={schema}"));
}
