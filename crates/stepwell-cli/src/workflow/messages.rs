//! `stepwell workflow messages`: what waits in an inbox.

use anstream::eprintln;
use clap::{Args, Subcommand};
use serde::Serialize;
use stepwell_core::{Client, store::WaitingMessage};

use super::send::read;
use crate::{
    exit::{Exit, Problem},
    output::{Output, Shown},
    table::Cell,
};

/// How much of a value a list shows.
const VALUE_CHARACTERS: usize = 80;

/// What to do with the messages of a workflow.
#[derive(Debug, Subcommand)]
pub(crate) enum Messages {
    /// List what waits in the inbox of a workflow
    List {
        /// The workflow's id
        id: String,
    },
    /// Take a message out of the inbox: nobody receives it
    Drop(Which),
    /// Put another value in the place of a message
    Replace {
        #[command(flatten)]
        which: Which,
        /// The value as JSON; `-` reads it from standard input. A text has quotes: '"paid"'
        message: String,
    },
}

/// A message.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// The workflow's id
    id: String,
    /// The message's number, as the list shows it
    number: i64,
}

/// A message in a list.
#[derive(Debug, Serialize)]
struct Line<'a> {
    #[serde(skip)]
    id: String,
    #[serde(flatten)]
    message: &'a WaitingMessage,
}

impl<'a> Line<'a> {
    fn of(message: &'a WaitingMessage) -> Self {
        Self {
            id: message.number.to_string(),
            message,
        }
    }
}

impl Shown for Line<'_> {
    const COLUMNS: &'static [&'static str] = &["NUMBER", "TOPIC", "SENT", "KEY", "VALUE"];

    fn id(&self) -> &str {
        &self.id
    }

    fn cells(&self) -> Vec<Cell> {
        let message = self.message;
        vec![
            Cell::number(message.number),
            Cell::new(&message.topic),
            Cell::at(Some(message.sent_at)),
            Cell::maybe(message.key.as_deref()),
            Cell::new(message.payload.as_str()).short(VALUE_CHARACTERS),
        ]
    }
}

/// Runs a command.
pub(crate) async fn run(
    command: &Messages,
    client: &Client,
    output: Output,
) -> Result<Exit, Problem> {
    match command {
        Messages::List { id } => list(id, client, output).await,
        Messages::Drop(Which { id, number }) => {
            client.drop_message(id, *number).await?;
            eprintln!("dropped the message {number} of `{id}`");
            Ok(Exit::Ok)
        }
        Messages::Replace { which, message } => {
            let Which { id, number } = which;
            let message = read("message", message)?;
            client.replace_message(id, *number, message).await?;
            eprintln!("replaced the message {number} of `{id}`");
            Ok(Exit::Ok)
        }
    }
}

async fn list(id: &str, client: &Client, output: Output) -> Result<Exit, Problem> {
    let mut all: Vec<WaitingMessage> = Vec::new();
    loop {
        let page = client.messages(id, all.last()).await?;
        if page.is_empty() {
            break;
        }
        all.extend(page);
    }
    let lines: Vec<_> = all.iter().map(Line::of).collect();
    output.list(&lines)
}
