//! `stepwell dead-letter groups`.

use serde::Serialize;
use stepwell_core::{Client, State, Timestamp, store::DeadLetters};

use crate::{
    exit::{Exit, Problem},
    output::{Output, Shown},
    table::Cell,
};

/// A group, in the command line's own form.
#[derive(Debug, Serialize)]
struct Line<'a> {
    count: u64,
    name: &'a str,
    state: State,
    fingerprint: Option<&'a str>,
    first_at: Timestamp,
    last_at: Timestamp,
    newest: &'a str,
}

impl<'a> Line<'a> {
    fn of(group: &'a DeadLetters) -> Self {
        Self {
            count: group.count,
            name: &group.name,
            state: group.state,
            fingerprint: group.fingerprint.as_deref(),
            first_at: group.first_at,
            last_at: group.last_at,
            newest: group.newest.as_str(),
        }
    }
}

impl Shown for Line<'_> {
    const COLUMNS: &'static [&'static str] = &[
        "COUNT",
        "NAME",
        "STATE",
        "FINGERPRINT",
        "FIRST",
        "LAST",
        "NEWEST",
    ];

    fn id(&self) -> &str {
        self.newest
    }

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::number(self.count),
            Cell::new(self.name),
            Cell::state(self.state),
            Cell::maybe(self.fingerprint),
            Cell::at(Some(self.first_at)),
            Cell::at(Some(self.last_at)),
            Cell::new(self.newest),
        ]
    }
}

/// Runs the command.
pub(crate) async fn run(client: &Client, output: Output) -> Result<Exit, Problem> {
    let groups = client.dead_letters().await?;
    output.list(&groups.iter().map(Line::of).collect::<Vec<_>>())
}
