//! `stepwell`: the command line.
//!
//! # Layout
//! - `args`: the commands, their groups and the options that all of them have
//! - `workflow` and `dead_letter` with the files below them, `queue`, `schedule`, `executor`, `migrate`, `completions`: a
//!   room for each group; each reads or steers through `Client`, and knows no SQL
//! - `dev` and the files below it: builds a program, runs it, watches its source
//! - `start`: runs a program; `program` is its process, `restarts` the rule for starting it again
//! - `postgres`: a Postgres for development on this machine
//! - `database`: from the options and the environment to a client
//! - `output`, `table`: what was found, as a table, JSON or ids; the drawing is pure
//! - `choice`, `bulk`, `confirm`: which workflows a command is about, doing it to many, asking first
//! - `instant`, `exit`: instants as people write them; exit codes and errors

mod args;
mod bulk;
mod choice;
mod completions;
mod confirm;
mod database;
mod dead_letter;
mod dev;
mod executor;
mod exit;
mod instant;
mod migrate;
mod output;
mod payload;
mod person;
mod postgres;
mod program;
mod queue;
mod restarts;
mod schedule;
mod start;
mod table;
mod terminal;
mod workflow;

use std::process::ExitCode;

use clap::Parser;

use crate::{
    args::{Cli, Command},
    database::Database,
    exit::{Exit, Problem},
    output::Output,
};

fn main() -> ExitCode {
    // Ends the process itself for `--help`, `--version` and a wrong command line (exit code 2).
    let cli = Cli::parse();
    let exit = match run(cli) {
        Ok(exit) => exit,
        Err(problem) => {
            problem.print();
            problem.exit()
        }
    };
    exit.into()
}

#[tokio::main(flavor = "current_thread")]
async fn run(cli: Cli) -> Result<Exit, Problem> {
    let output = Output::new(cli.options.output);
    let database = Database::new(cli.options.database);
    match cli.command {
        Command::Workflow(command) => workflow::run(command, &database, output).await,
        Command::DeadLetter(command) => dead_letter::run(command, &database, output).await,
        Command::Queue(command) => queue::run(command, &database, output).await,
        Command::Schedule(command) => schedule::run(command, &database, output).await,
        Command::Executor(command) => executor::run(command, &database, output).await,
        Command::Migrate(command) => migrate::run(&command, &database, output).await,
        Command::Dev(command) => dev::run(command).await,
        Command::Start(command) => start::run(&command).await,
        Command::Postgres(command) => postgres::run(&command, output),
        Command::Completions { shell } => completions::print_for(shell),
    }
}
