//! Names in requests: which texts are taken.

use axum::http::StatusCode;
use stepwell::axum::HttpError;

/// The longest name, in bytes.
const BYTES_MAX: usize = 255;

/// Whether a text may be a name. Postgres keeps no NUL, and no other control character belongs into a
/// name either.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Refuses a text that is no name, before anything is done with it: its sender can mend it, and no
/// operator needs to know.
///
/// # Errors
/// 422.
pub(crate) fn check_name(member: &str, text: &str) -> Result<(), HttpError> {
    if is_name(text) {
        return Ok(());
    }
    let said = format!("`{member}` must have 1 to {BYTES_MAX} bytes and no control characters");
    let unprocessable = HttpError::new(StatusCode::UNPROCESSABLE_ENTITY).code("INVALID_NAME");
    Err(unprocessable.message(said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_neither_empty_nor_long_and_shows_all_that_it_holds() {
        for (text, expected) in [
            ("ann", true),
            ("Ann \u{e9}", true),
            (&"a".repeat(255), true),
            (&"a".repeat(256), false),
            ("", false),
            ("\0", false),
            ("a\nb", false),
            ("a\u{9b}", false),
        ] {
            assert_eq!(is_name(text), expected, "{text:?}");
        }
    }
}
