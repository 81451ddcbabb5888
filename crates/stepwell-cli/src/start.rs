//! `stepwell start`: runs a program and starts it again when it crashes.
//!
//! The program itself recovers its workflows; this only sees to it that there is one.

use std::path::Path;

use anstream::eprintln;
use clap::Args;
use tokio::process::Command;

use crate::{
    exit::{Exit, Problem},
    program::{End, Program, Signals},
    restarts::{Next, Restarts},
};

/// What to run.
#[derive(Debug, Args)]
pub(crate) struct Start {
    /// Give up when it has died so often in a row, each time within 10 s of its start
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    give_up_after: u32,
    /// The program and its arguments; without one, the program of the Cargo package in this
    /// directory, built with `--release`
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// How one life of the program ended.
enum Life {
    /// By itself, or by a signal from outside.
    Ended(End),
    /// Because we were told to stop, and passed it on.
    Stopped(End),
}

/// Runs the command.
pub(crate) async fn run(start: &Start) -> Result<Exit, Problem> {
    let command = if start.command.is_empty() {
        of_package().await?
    } else {
        start.command.clone()
    };
    let shown = command.join(" ");
    let mut signals = Signals::new()?;
    let mut restarts = Restarts::new(start.give_up_after);
    loop {
        let end = match live(&command, &mut signals).await? {
            Life::Stopped(end) => return Ok(end.exit()),
            Life::Ended(end) if end.status.success() => return Ok(Exit::Ok),
            Life::Ended(end) => end,
        };
        let words = end.words();
        match restarts.died(end.lived) {
            Next::GiveUp => {
                return Err(Problem::failure(format!(
                    "`{shown}` died {} times in a row at its start; the last time it {words}",
                    start.give_up_after
                ))
                .hint("what it printed says why; starting it again would not help"));
            }
            Next::Start(pause) => {
                eprintln!(
                    "`{shown}` {words}; starting it again in {} ms",
                    pause.as_millis()
                );
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    _ = signals.next() => return Ok(end.exit()),
                }
            }
        }
    }
}

/// Runs the program until it ends. Every signal is passed on: the second one tells most programs to
/// hurry.
async fn live(command: &[String], signals: &mut Signals) -> Result<Life, Problem> {
    let mut words = command.iter();
    let mut process = Command::new(words.next().map_or("", String::as_str));
    let mut program = Program::start(process.args(words))?;
    let mut is_told = false;
    loop {
        tokio::select! {
            end = program.end() => {
                let end = end?;
                return Ok(if is_told { Life::Stopped(end) } else { Life::Ended(end) });
            }
            signal = signals.next() => {
                is_told = true;
                eprintln!("passing {signal} on and waiting for the program to end");
                program.send(signal);
            }
        }
    }
}

/// The command for the Cargo package here, which is built first: a program that does not compile
/// is no program that crashes.
async fn of_package() -> Result<Vec<String>, Problem> {
    if !Path::new("Cargo.toml").exists() {
        return Err(Problem::usage("nothing says what to start")
            .hint("name it: `stepwell start -- ./my-program`, or start in a Cargo package"));
    }
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let built = Command::new(&cargo)
        .args(["build", "--release"])
        .status()
        .await;
    let built = built.map_err(|error| Problem::failure("could not run `cargo`").because(&error))?;
    if !built.success() {
        return Err(Problem::failure("`cargo build --release` failed"));
    }
    // Cargo becomes the program that it runs: signals reach it, and its exit code is its own.
    Ok(vec![
        cargo,
        "run".to_owned(),
        "--release".to_owned(),
        "--quiet".to_owned(),
    ])
}
