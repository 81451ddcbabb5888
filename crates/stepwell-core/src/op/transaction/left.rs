//! What a witness says: how a transaction came to its end.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{payload::Payload, position::Position};

/// The text of a witness.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Left {
    pub(super) transaction: String,
    pub(super) at: Position,
    pub(super) came_to: CameTo,
}

/// How a transaction came to its end. Every one of these counts for good: whoever runs the operation
/// again comes to the same.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum CameTo {
    /// It was committed, and returned this.
    Output(Payload),
    /// It was undone, and returned this error.
    Error(Payload),
    /// It was undone, because its code panicked.
    Panicked(String),
    /// It was undone, because another member of its race won.
    Lost,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Output,
    Error,
    Panicked,
    Lost,
}

/// As it is kept.
#[derive(Deserialize)]
struct Kept<'a> {
    #[serde(borrow)]
    transaction: Cow<'a, str>,
    #[serde(borrow)]
    at: Cow<'a, str>,
    came_to: Word,
    #[serde(borrow)]
    value: &'a RawValue,
}

impl Left {
    /// Writes the text of a witness. A payload is put in as it is.
    pub(super) fn write(transaction: &str, at: &Position, came_to: &CameTo) -> Payload {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let (word, value) = match came_to {
            CameTo::Output(output) => ("output", Cow::Borrowed(output.as_str())),
            CameTo::Error(error) => ("error", Cow::Borrowed(error.as_str())),
            CameTo::Panicked(message) => ("panicked", Cow::Owned(quoted(message))),
            CameTo::Lost => ("lost", Cow::Borrowed("null")),
        };
        let transaction = quoted(transaction);
        Payload::from_stored(format!(
            r#"{{"transaction":{transaction},"at":"{at}","came_to":"{word}","value":{value}}}"#
        ))
    }

    /// Reads the text of a witness.
    pub(super) fn read(text: &Payload) -> Result<Self, String> {
        let kept: Kept<'_> =
            serde_json::from_str(text.as_str()).map_err(|error| error.to_string())?;
        let value = || Payload::from_stored(kept.value.get().to_owned());
        Ok(Self {
            at: Position::parse(&kept.at).ok_or_else(|| format!("`{}` is no position", kept.at))?,
            came_to: match kept.came_to {
                Word::Output => CameTo::Output(value()),
                Word::Error => CameTo::Error(value()),
                Word::Panicked => {
                    CameTo::Panicked(value().read().map_err(|error| error.to_string())?)
                }
                Word::Lost => CameTo::Lost,
            },
            transaction: kept.transaction.into_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let payload = |json: &str| Payload::from_stored(json.to_owned());
        for came_to in [
            CameTo::Output(payload("null")),
            CameTo::Output(payload(r#"{"a":[1,"\u0000\"",null]}"#)),
            CameTo::Error(payload(r#""declined""#)),
            CameTo::Panicked("no \"stock\"\n".to_owned()),
            CameTo::Lost,
        ] {
            let at = Position::top(12).child(0);
            let text = Left::write("pay \"now\"", &at, &came_to);
            let left = Left::read(&text).expect("what was written is read");
            assert_eq!(left.came_to, came_to);
            assert_eq!((left.transaction.as_str(), left.at), ("pay \"now\"", at));
        }
    }

    #[test]
    fn what_somebody_else_wrote_is_no_witness() {
        for text in [
            "7",
            "{}",
            r#"{"transaction":"a","at":"x","came_to":"lost","value":0}"#,
        ] {
            assert!(
                Left::read(&Payload::from_stored(text.to_owned())).is_err(),
                "{text}"
            );
        }
    }
}
