//! Checks a schedule's expression at compile time, by the grammar that the engine reads it with.

#[path = "../../stepwell-core/src/schedule/grammar.rs"]
mod grammar;

/// Checks `expression`; the error names it and the field that is wrong.
pub(crate) fn check(expression: &str) -> Result<(), String> {
    match expression.strip_prefix("@every ") {
        Some(length) => check_every(expression, length),
        None => grammar::parse(expression).map(drop),
    }
}

/// Looks at the shape only: the length is read when the application launches.
fn check_every(expression: &str, length: &str) -> Result<(), String> {
    if length.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(());
    }
    Err(format!(
        "`{expression}` is not a schedule: `{length}` is no duration\n\
         help: `@every 90s` and `@every 1h 30m` are"
    ))
}

#[cfg(test)]
mod tests {
    use super::check;

    #[track_caller]
    fn refused(expression: &str, expected: &str) {
        let message = check(expression).expect_err("the expression is wrong");
        assert!(message.contains(expected), "{message}");
        assert!(message.contains(expression), "{message}");
    }

    #[test]
    fn right_expressions_pass() {
        for expression in [
            "* * * * *",
            "*/5 * * * * *",
            "5/15 * * * *",
            "0 9 * * MON-FRI",
            "0 0 L * *",
            "0 0 31 2 MON",
            "0 0 0 1 1 * 2026-2030",
            "@every 90s",
            "@daily",
            "@Hourly",
        ] {
            assert_eq!(check(expression), Ok(()), "{expression}");
        }
    }

    #[test]
    fn an_even_schedule_has_a_length() {
        refused("@every now and then", "`now and then` is no duration");
    }

    #[test]
    fn the_number_of_fields_is_checked() {
        refused("every minute please", "5 to 7 fields expected, 3 found");
        refused("* * * * * * * *", "8 found");
        refused("@sometimes", "1 found");
        refused("", "0 found");
    }

    #[test]
    fn the_wrong_field_is_named() {
        refused("61 * * * *", "the minute `61`: number out of bounds");
        refused("0 25 * * *", "the hour `25`");
        refused("61 * * * * *", "the second `61`");
        refused("* * * * FOO", "the weekday `FOO`");
        refused("5-1 * * * *", "the minute `5-1`: range out of bounds");
        refused("0 0 0 1 1 * 0", "the year `0`");
    }

    #[test]
    fn a_day_that_no_month_has_is_refused() {
        refused("0 0 31 2 *", "never ticks");
        refused("0 0 31 4,6,9,11 *", "never ticks");
        refused("0 0 30 2 +MON", "never ticks");
    }
}
