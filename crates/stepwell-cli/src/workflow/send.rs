//! `stepwell workflow send`.

use std::io::{self, Read};

use anstream::eprintln;
use clap::Args;
use stepwell_core::{Client, Payload};

use crate::{
    exit::{Exit, Problem},
    payload::payload,
};

/// What to send, and to whom.
#[derive(Debug, Args)]
pub(crate) struct Send {
    /// The workflow's id
    id: String,
    /// The topic that it receives on
    topic: String,
    /// The message as JSON; `-` reads it from standard input. A text has quotes: '"paid"'
    message: String,
    /// Sends once for this key, however often the command is run
    #[arg(long)]
    key: Option<String>,
}

/// Runs the command.
pub(crate) async fn run(command: &Send, client: &Client) -> Result<Exit, Problem> {
    let message = read("message", &command.message)?;
    let (id, topic) = (&command.id, &command.topic);
    client.send(id, topic, message, command.key.clone()).await?;
    eprintln!("sent to `{topic}` of `{id}`");
    Ok(Exit::Ok)
}

/// A value as it was written, or from standard input for `-`. `what` names it.
pub(super) fn read(what: &str, text: &str) -> Result<Payload, Problem> {
    if text != "-" {
        return payload(what, text);
    }
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    payload(what, &text)
}
