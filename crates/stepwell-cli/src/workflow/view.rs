//! A workflow as it is shown.

use stepwell_core::store::Workflow;

use crate::{output::Shown, table::Cell};

/// How much of a reason a list shows.
const REASON_CHARACTERS: usize = 60;

impl Shown for Workflow {
    const COLUMNS: &'static [&'static str] =
        &["ID", "NAME", "STATE", "QUEUE", "CREATED", "ENDED", "REASON"];

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::new(self.id.as_str()),
            Cell::new(&self.name),
            Cell::state(self.state),
            Cell::maybe(self.queue.as_ref()),
            Cell::at(Some(self.created_at)),
            Cell::at(self.ended_at),
            // What failed before the message was kept has its fingerprint.
            Cell::maybe(self.reason.as_ref().or(self.fingerprint.as_ref()))
                .short(REASON_CHARACTERS),
        ]
    }

    fn fields(&self) -> Vec<(&'static str, Cell)> {
        let attributes = self
            .attributes
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let recoveries = (self.recoveries > 0).then(|| self.recoveries.to_string());
        vec![
            ("ID", Cell::new(self.id.as_str())),
            ("NAME", Cell::new(&self.name)),
            ("STATE", Cell::state(self.state)),
            ("REASON", Cell::maybe(self.reason.as_ref())),
            ("QUEUE", Cell::maybe(self.queue.as_ref())),
            (
                "EXECUTOR",
                Cell::maybe(self.executor.as_ref().map(|it| it.as_str())),
            ),
            (
                "PARENT",
                Cell::maybe(self.parent.as_ref().map(|it| it.as_str())),
            ),
            (
                "FORKED FROM",
                Cell::maybe(self.forked_from.as_ref().map(|it| it.as_str())),
            ),
            ("FINGERPRINT", Cell::maybe(self.fingerprint.as_ref())),
            (
                "ACKNOWLEDGED",
                Cell::maybe(self.acknowledged.as_ref().map(|it| &it.note)),
            ),
            ("ORIGIN", Cell::maybe(self.origin.as_ref())),
            ("RECOVERIES", Cell::maybe(recoveries)),
            ("CREATED", Cell::at(Some(self.created_at))),
            ("STARTED", Cell::at(self.started_at)),
            ("ENDED", Cell::at(self.ended_at)),
            ("DEADLINE", Cell::at(self.deadline_at)),
            ("WAKES", Cell::at(self.wake_at)),
            (
                "ATTRIBUTES",
                Cell::new(attributes.collect::<Vec<_>>().join(" ")),
            ),
        ]
    }
}
