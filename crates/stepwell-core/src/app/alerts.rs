//! What an application does when workflows do not do their work.

use std::time::Duration;

use super::AppBuilder;
use crate::{
    alert::{DeadLetter, RepeatedFailures},
    call::Call,
    durable::Workflow,
};

impl<S: Send + Sync + 'static> AppBuilder<S> {
    /// Starts a workflow of yours whenever another one becomes a dead letter: to write a mail, to call
    /// somebody. It exists if, and only if, the end that it is about is on disk: both are one commit.
    /// (One that is dead after too many recoveries is told of within ten seconds, once.)
    ///
    /// Where one mail for each letter is too many, give the call an id that says for what there is to
    /// be one, or a [`unique`](Call::unique) key. That what alerts start fails is no reason for another
    /// alert.
    ///
    /// ```ignore
    /// App::builder("shop").on_dead_letter(|letter| mail_on_call(letter.to_string()).queue(&MAILS))
    /// ```
    ///
    /// Every executor of an application should have the same alerts: the one that runs a workflow
    /// starts them. A call that is refused (an attribute that is too long) is said in the log.
    #[must_use]
    pub fn on_dead_letter<W: Workflow>(
        mut self,
        map: impl Fn(&DeadLetter) -> Call<W> + Send + Sync + 'static,
    ) -> Self {
        self.alerts.on_letter(map);
        self
    }

    /// Starts a workflow of yours when at least so many of a name have failed alike within a time: at
    /// most one for each such time, counted from midnight on 1 January 1970. Failures that somebody has
    /// acknowledged do not count. From 1 to 1,000 of them; [`build`](Self::build) refuses others.
    ///
    /// ```ignore
    /// App::builder("shop").on_repeated_failures(5, Duration::from_secs(600), |failures| {
    ///     call_someone(failures.to_string())
    /// })
    /// ```
    #[must_use]
    pub fn on_repeated_failures<W: Workflow>(
        mut self,
        count: u32,
        within: Duration,
        map: impl Fn(&RepeatedFailures) -> Call<W> + Send + Sync + 'static,
    ) -> Self {
        self.alerts.on_repeated((count, within), map);
        self
    }
}
