//! `stepwell workflow`: what workflows did and do, and how they are steered.

mod fork;
pub(crate) mod get;
pub(crate) mod list;
mod messages;
mod send;
mod start;
mod steps;
pub(crate) mod view;

use clap::Subcommand;
use stepwell_core::State;

use crate::{
    bulk::{self, Bulk, Deed},
    choice::Which,
    database::Database,
    exit::{Exit, Problem},
    output::Output,
};

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List workflows, newest first
    List(list::List),
    /// Show workflows: why they do not go on or what they do, their input, result, events, take-overs and children
    Get(get::Get),
    /// Show what a workflow has recorded, failed attempts among it
    Steps(steps::Steps),
    /// Start a workflow by its name, to be run by an executor that registers it
    Start(start::Start),
    /// Cancel workflows and their attached children
    Cancel(Bulk),
    /// Let cancelled, stuck or dead workflows go on from their last record
    Resume(Bulk),
    /// Start a new workflow with the history of another one before a position
    Fork(fork::Fork),
    /// Put a message into a workflow's inbox
    Send(send::Send),
    /// List what waits in a workflow's inbox; drop or replace a message that it cannot read
    #[command(subcommand)]
    Messages(messages::Messages),
}

const CANCEL: Deed<'static> = Deed {
    verb: "cancel",
    done: "cancelled",
    which: Which::All,
    states: &[
        State::Delayed,
        State::Enqueued,
        State::Running,
        State::Parked,
        State::Stuck,
        State::Dead,
    ],
    act: &|client, id| Box::pin(client.cancel(id)),
};

const RESUME: Deed<'static> = Deed {
    verb: "resume",
    done: "resumed",
    which: Which::All,
    states: &[State::Cancelled, State::Stuck, State::Dead],
    act: &|client, id| Box::pin(client.resume(id)),
};

/// Runs a command.
pub(crate) async fn run(
    command: Command,
    database: &Database,
    output: Output,
) -> Result<Exit, Problem> {
    let client = database.open().await?;
    match command {
        Command::List(command) => list::run(&command, Which::All, &client, output).await,
        Command::Get(command) => get::run(&command, &client, output).await,
        Command::Steps(command) => steps::run(&command, &client, output).await,
        Command::Start(command) => start::run(&command, &client, output).await,
        Command::Cancel(command) => bulk::run(command, &CANCEL, &client, output).await,
        Command::Resume(command) => bulk::run(command, &RESUME, &client, output).await,
        Command::Fork(command) => fork::run(&command, &client, output).await,
        Command::Send(command) => send::run(&command, &client).await,
        Command::Messages(command) => messages::run(&command, &client, output).await,
    }
}
