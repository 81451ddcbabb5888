//! `stepwell dead-letter`: what did not do its work, and will not by itself.

mod groups;
mod redrive;

use clap::{Args, Subcommand};
use stepwell_core::State;

use crate::{
    bulk::{self, Bulk, Deed},
    choice::Which,
    database::Database,
    exit::{Exit, Problem},
    output::Output,
    workflow::{get, list},
};

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Count dead letters by what they have in common, the largest groups first
    Groups,
    /// List dead letters that nobody has acknowledged, newest first
    List(list::List),
    /// Show dead letters with their input and error
    Get(get::Get),
    /// Try dead letters again: those that are named at once, those that conditions find at a limited
    /// rate, by a workflow
    Redrive(redrive::Redrive),
    /// Say of dead letters that nobody need look at them any more, and why
    #[command(visible_alias = "ack")]
    Acknowledge(Acknowledge),
    /// Delete dead letters with all that is kept of them. An event or a request that comes once more is
    /// taken for a new one
    Delete(Bulk),
}

/// Which of them, and why.
#[derive(Debug, Args)]
pub(crate) struct Acknowledge {
    /// What there is to say: it is kept with each of them
    #[arg(long, value_name = "TEXT")]
    note: String,
    #[command(flatten)]
    which: Bulk,
}

/// The states of dead letters.
pub(crate) const STATES: &[State] = &[State::Failed, State::Stuck, State::Dead];

const DELETE: Deed<'static> = Deed {
    verb: "delete",
    done: "deleted",
    which: Which::NewDeadLetters,
    states: STATES,
    act: &|client, id| Box::pin(client.delete(id)),
};

/// Runs a command.
pub(crate) async fn run(
    command: Command,
    database: &Database,
    output: Output,
) -> Result<Exit, Problem> {
    let client = database.open().await?;
    match command {
        Command::Groups => groups::run(&client, output).await,
        Command::List(command) => list::run(&command, Which::NewDeadLetters, &client, output).await,
        Command::Get(command) => get::run(&command, &client, output).await,
        Command::Redrive(command) => redrive::run(&command, &client, output).await,
        Command::Acknowledge(Acknowledge { note, which }) => {
            let acknowledge = Deed {
                verb: "acknowledge",
                done: "acknowledged",
                which: Which::NewDeadLetters,
                states: STATES,
                act: &|client, id| {
                    let note = note.clone();
                    Box::pin(async move { client.acknowledge(id, &note).await })
                },
            };
            bulk::run(which, &acknowledge, &client, output).await
        }
        Command::Delete(command) => bulk::run(command, &DELETE, &client, output).await,
    }
}
