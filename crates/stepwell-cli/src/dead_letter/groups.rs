//! `stepwell dead-letter groups`.

use stepwell_core::{Client, store::DeadLetters};

use crate::{
    exit::{Exit, Problem},
    output::{Output, Shown},
    table::Cell,
};

impl Shown for DeadLetters {
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
        self.newest.as_str()
    }

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::number(self.count),
            Cell::new(&self.name),
            Cell::state(self.state),
            Cell::maybe(self.fingerprint.as_ref()),
            Cell::at(Some(self.first_at)),
            Cell::at(Some(self.last_at)),
            Cell::new(self.newest.as_str()),
        ]
    }
}

/// Runs the command.
pub(crate) async fn run(client: &Client, output: Output) -> Result<Exit, Problem> {
    output.list(&client.dead_letters().await?)
}
