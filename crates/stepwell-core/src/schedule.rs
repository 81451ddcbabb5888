//! [`Schedule`]: when a workflow starts by itself.

/// When a workflow starts by itself: `#[workflow(schedule = "0 * * * *", timezone = "Europe/Berlin")]`.
///
/// A cron expression of five fields, or six with seconds first. Without a time zone it is UTC. Each
/// tick starts one workflow, whatever the number of executors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    pub(crate) cron: &'static str,
    pub(crate) timezone: Option<&'static str>,
}

impl Schedule {
    /// A schedule by a cron expression. It is checked when the application launches.
    #[must_use]
    pub const fn cron(cron: &'static str) -> Self {
        Self {
            cron,
            timezone: None,
        }
    }

    /// The time zone that the expression is read in, by its IANA name.
    #[must_use]
    pub const fn timezone(mut self, timezone: &'static str) -> Self {
        self.timezone = Some(timezone);
        self
    }
}
