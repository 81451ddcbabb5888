//! Checks a schedule's expression at compile time, by the parser that the engine runs it with.

use croner::parser::{CronParser, Seconds};

/// The fields of an expression, the optional one first.
const FIELDS: [&str; 6] = ["second", "minute", "hour", "day", "month", "weekday"];

/// Checks `expression`; the error names it and the field that is wrong.
pub(crate) fn check(expression: &str) -> Result<(), String> {
    if let Some(length) = expression.strip_prefix("@every ") {
        return check_every(expression, length);
    }
    let fields: Vec<&str> = expression.split_whitespace().collect();
    let Some(names) = FIELDS
        .len()
        .checked_sub(fields.len())
        .filter(|missing| *missing <= 1)
        .map(|missing| &FIELDS[missing..])
    else {
        return Err(format!(
            "`{expression}` is not a cron expression: 5 or 6 fields expected, {} found\n\
             help: `0 9 * * MON` is each Monday at nine; a sixth field in front counts seconds",
            fields.len()
        ));
    };
    let Err(error) = parse(&fields) else {
        return Ok(());
    };
    // The parser does not say where the trouble is: ask it about one field at a time.
    let culprit = (0..fields.len()).find_map(|at| {
        let mut alone = vec!["*"; fields.len()];
        alone[at] = fields[at];
        Some((names[at], fields[at], parse(&alone).err()?))
    });
    Err(match culprit {
        Some((name, field, error)) => {
            format!("`{expression}` is not a cron expression: the {name} `{field}`: {error}")
        }
        None => format!("`{expression}` is not a cron expression: {error}"),
    })
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

fn parse(fields: &[&str]) -> Result<(), String> {
    let parser = CronParser::builder().seconds(Seconds::Optional).build();
    match parser.parse(&fields.join(" ")) {
        Ok(_) => Ok(()),
        Err(error) => Err(reworded(&error.to_string())),
    }
}

/// The parser's sentence as the end of ours: without its category, its capital and its full stop.
fn reworded(message: &str) -> String {
    let sentence = message.split_once(": ").map_or(message, |(_, rest)| rest);
    let sentence = sentence.trim_start_matches("CronPattern ");
    let mut chars = sentence.trim_end_matches('.').chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
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
            "0 9 * * MON-FRI",
            "0 0 L * *",
            "@every 90s",
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
        refused("every minute please", "5 or 6 fields expected, 3 found");
        refused("* * * * * * *", "7 found");
        refused("", "0 found");
    }

    #[test]
    fn the_wrong_field_is_named() {
        refused("61 * * * *", "the minute `61`: number out of bounds");
        refused("0 25 * * *", "the hour `25`");
        refused("61 * * * * *", "the second `61`");
        refused("* * * * FOO", "the weekday `FOO`");
        refused("5-1 * * * *", "the minute `5-1`: range out of bounds");
    }
}
