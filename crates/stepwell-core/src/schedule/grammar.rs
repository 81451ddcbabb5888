//! The grammar of cron expressions.
//!
//! `#[workflow(schedule = "…")]` is checked with this very file, so that what compiles is what runs. It
//! needs nothing but `croner`.

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};

/// The fields of an expression: five of them without the first and the last, six without the last.
const FIELDS: [&str; 7] = [
    "second", "minute", "hour", "day", "month", "weekday", "year",
];

/// What stands for an expression.
const NICKNAMES: [&str; 6] = [
    "@hourly",
    "@daily",
    "@weekly",
    "@monthly",
    "@yearly",
    "@annually",
];

/// The longest that a month can be, from January on.
const DAYS: [u16; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// Reads an expression.
///
/// # Errors
/// A sentence that names the expression and the field that is wrong, and perhaps a line with help.
pub(crate) fn parse(expression: &str) -> Result<Cron, String> {
    let fields: Vec<&str> = expression.split_whitespace().collect();
    let names = match fields.as_slice() {
        [name] if is_nickname(name) => &FIELDS[..1],
        _ => names(fields.len()).ok_or_else(|| {
            format!(
                "`{expression}` is not a cron expression: 5 to 7 fields expected, {} found\n\
                 help: `0 9 * * MON` is each Monday at nine; a sixth field in front counts seconds, a \
                 seventh at the end years; `@daily` and `@every 90s` are schedules, too",
                fields.len()
            )
        })?,
    };
    let cron = read(&fields).map_err(|error| {
        // The parser does not say where the trouble is: ask it about one field at a time.
        let culprit = (0..fields.len()).find_map(|at| {
            let mut alone = vec!["*"; fields.len()];
            alone[at] = fields[at];
            Some((names[at], fields[at], read(&alone).err()?))
        });
        match culprit {
            Some((name, field, error)) => {
                format!("`{expression}` is not a cron expression: the {name} `{field}`: {error}")
            }
            None => format!("`{expression}` is not a cron expression: {error}"),
        }
    })?;
    match has_a_day(&cron) {
        true => Ok(cron),
        false => Err(format!(
            "`{expression}` never ticks: none of its months has one of its days"
        )),
    }
}

fn is_nickname(field: &str) -> bool {
    NICKNAMES
        .iter()
        .any(|name| name.eq_ignore_ascii_case(field))
}

fn names(count: usize) -> Option<&'static [&'static str]> {
    match count {
        5 => Some(&FIELDS[1..6]),
        6 => Some(&FIELDS[..6]),
        7 => Some(&FIELDS),
        _ => None,
    }
}

/// `5/15` counts from five on, as in most dialects.
fn read(fields: &[&str]) -> Result<Cron, String> {
    let parser = CronParser::builder()
        .seconds(Seconds::Optional)
        .year(Year::Optional)
        .sloppy_ranges(true)
        .build();
    parser
        .parse(&fields.join(" "))
        .map_err(|error| reworded(&error.to_string()))
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

/// Whether one of the months has one of the days: `31 2` is none. A weekday beside the day is another
/// way to be chosen, unless both are asked for.
fn has_a_day(cron: &Cron) -> bool {
    let pattern = &cron.pattern;
    let by_weekday = !pattern.is_dow_wildcard() && !pattern.matches_dom_and_dow();
    if by_weekday || pattern.days.has_modifiers() {
        return true;
    }
    let longest = pattern.months.values().into_iter().filter_map(|month| {
        let place = usize::from(month).checked_sub(1)?;
        DAYS.get(place).copied()
    });
    let longest = longest.max().unwrap_or(0);
    pattern.days.values().into_iter().any(|day| day <= longest)
}
