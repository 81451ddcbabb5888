//! `stepwell workflow send`.

use std::io::{self, Read};

use anstream::eprintln;
use clap::Args;
use serde_json::value::RawValue;
use stepwell_core::{Client, Payload, limits::PAYLOAD_BYTES_MAX_DEFAULT};

use crate::exit::{Exit, Problem};

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
    let message = match command.message.as_str() {
        "-" => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text)?;
            payload(&text)?
        }
        text => payload(text)?,
    };
    let (id, topic) = (&command.id, &command.topic);
    client.send(id, topic, message, command.key.clone()).await?;
    eprintln!("sent to `{topic}` of `{id}`");
    Ok(Exit::Ok)
}

/// The message, checked as one of a program is. It is passed on as it was written: to parse its
/// numbers would change long ones.
fn payload(text: &str) -> Result<Payload, Problem> {
    let parsed = serde_json::from_str::<serde_json::Value>(text.trim());
    let raw = parsed.and_then(|value| Ok((value, serde_json::from_str::<&RawValue>(text.trim())?)));
    let (value, raw) = raw.map_err(|error| {
        let shown: String = text.trim().chars().take(40).collect();
        Problem::usage(format!("the message `{shown}` is no JSON"))
            .because(&error)
            .hint(r#"a text has quotes of its own: '"paid"'"#)
    })?;
    // Of text that is passed on nobody counts how deep it nests.
    Payload::of(&value, PAYLOAD_BYTES_MAX_DEFAULT)?;
    Ok(Payload::of(raw, PAYLOAD_BYTES_MAX_DEFAULT)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_passed_on_as_it_was_written() {
        for text in [
            "1",
            "123456789012345678901234567890",
            r#"{"b":1,"a":[null]}"#,
        ] {
            assert_eq!(payload(text).unwrap().as_str(), text);
        }
        assert_eq!(payload(" \"paid\"\n").unwrap().as_str(), r#""paid""#);
    }

    #[test]
    fn what_is_no_json_or_nests_too_deep_is_refused() {
        assert_eq!(payload("paid").unwrap_err().exit(), Exit::Usage);
        for depth in [125, 1_000] {
            let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            assert_eq!(payload(&deep).unwrap_err().exit(), Exit::Usage);
        }
    }
}
