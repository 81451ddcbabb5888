//! The commands, and the options that all of them have.

use clap::{Args, Parser, Subcommand};

use crate::{
    dead_letter, dev, executor, migrate, output::Format, postgres, queue, schedule, start, workflow,
};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed
  2  the command line or a value in it is wrong
  4  what was asked for is not there
  5  done for some, failed for others
  6  the database cannot be reached";

/// Looks at workflows and steers them; runs programs; keeps a development database.
///
/// What was found goes to standard output, everything else to standard error.
#[derive(Debug, Parser)]
#[command(name = "stepwell", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) options: Options,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Options {
    /// The database: `sqlite:path` or `postgres://user:password@host/database`. Without it, that of
    /// STEPWELL_DATABASE_URL or DATABASE_URL. A password is better kept in the environment: others
    /// on this machine can read a command line
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) database: Option<String>,
    /// How to print what was found
    #[arg(short, long, global = true, value_enum, default_value_t)]
    pub(crate) output: Format,
}

/// A group of commands, or a command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Find workflows, see what they did, cancel, resume, fork them
    #[command(subcommand)]
    Workflow(workflow::Command),
    /// See what did not do its work, try it again, lay it aside
    #[command(subcommand, visible_alias = "dlq")]
    DeadLetter(dead_letter::Command),
    /// See queues, pause them, change their limits
    #[command(subcommand)]
    Queue(queue::Command),
    /// See schedules, pause them, start their workflows by hand
    #[command(subcommand)]
    Schedule(schedule::Command),
    /// See the processes that run workflows
    #[command(subcommand)]
    Executor(executor::Command),
    /// Bring the database's schema to its newest form
    Migrate(migrate::Migrate),
    /// Build and run the program of a Cargo package, again whenever its source changes
    Dev(dev::Dev),
    /// Run a program and start it again when it crashes
    Start(start::Start),
    /// Keep a Postgres for development on this machine
    Postgres(postgres::Postgres),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}
