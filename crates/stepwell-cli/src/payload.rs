//! Values as people write them: JSON.

use serde_json::value::RawValue;
use stepwell_core::{Payload, limits::PAYLOAD_BYTES_MAX_DEFAULT};

use crate::exit::Problem;

/// A value, checked as one of a program is. It is passed on as it was written: to parse its numbers
/// would change long ones. `what` names it: `message`.
pub(crate) fn payload(what: &str, text: &str) -> Result<Payload, Problem> {
    let parsed = serde_json::from_str::<serde_json::Value>(text.trim());
    let raw = parsed.and_then(|value| Ok((value, serde_json::from_str::<&RawValue>(text.trim())?)));
    let (value, raw) = raw.map_err(|error| {
        let shown: String = text.trim().chars().take(40).collect();
        Problem::usage(format!("the {what} `{shown}` is no JSON"))
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
    use crate::exit::Exit;

    #[test]
    fn a_value_is_passed_on_as_it_was_written() {
        for text in [
            "1",
            "123456789012345678901234567890",
            r#"{"b":1,"a":[null]}"#,
        ] {
            assert_eq!(payload("message", text).unwrap().as_str(), text);
        }
        assert_eq!(
            payload("message", " \"paid\"\n").unwrap().as_str(),
            r#""paid""#
        );
    }

    #[test]
    fn what_is_no_json_or_nests_too_deep_is_refused() {
        assert_eq!(payload("message", "paid").unwrap_err().exit(), Exit::Usage);
        for depth in [125, 1_000] {
            let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            assert_eq!(payload("message", &deep).unwrap_err().exit(), Exit::Usage);
        }
    }
}
