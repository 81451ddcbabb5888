//! Testing workflows: an embedded store, typed mocks, skipped time, crashes.
//!
//! With tokio's paused clock (`#[tokio::test(start_paused = true)]`) sleeps, schedules, retries and
//! deadlines take no time: when everything waits, the clock jumps to the next instant.

pub(crate) mod mock;

use std::{sync::Arc, time::Duration};

use crate::{
    app::{App, AppBuilder},
    client::History,
    clock::TokioClock,
    durable::Step,
    error::Error,
    workflow::{Place, RecordKind},
};

/// An application on a database in memory, for tests of workflows.
#[derive(Debug)]
pub struct Harness<S = ()> {
    /// The application.
    pub app: App<S>,
}

impl<S: Send + Sync + 'static> Harness<S> {
    /// Launches an application with this state, on a database of its own.
    ///
    /// # Panics
    /// If the application cannot be launched.
    pub async fn new(state: S) -> Self {
        Self::with(App::builder("test").state(state)).await
    }

    /// Launches an application that is set up by hand, on a database of its own.
    ///
    /// # Panics
    /// If the application cannot be launched.
    #[expect(clippy::expect_used, reason = "a test that cannot begin has failed")]
    pub async fn with(builder: AppBuilder<S>) -> Self {
        let builder = builder
            .database("sqlite::memory:")
            .clock(Arc::new(TokioClock::start()));
        let builder = builder.alone();
        Self {
            app: builder.launch().await.expect("the application launches"),
        }
    }

    /// Replaces a step or a transaction, by its type. The closure is given the attempt's number and
    /// returns the step's own types.
    #[must_use]
    pub fn on<D: Step>(
        self,
        mock: impl Fn(u32) -> Result<D::Output, D::Error> + Send + Sync + 'static,
    ) -> Self {
        self.app.engine().mocks.set::<D>(mock);
        self
    }

    /// What a crash does: everything is dropped where it stands, and a new incarnation goes on from
    /// the database.
    ///
    /// # Panics
    /// If the application cannot be launched again.
    pub async fn crash(&self) {
        self.crash_for(Duration::ZERO).await;
    }

    /// As [`crash`](Self::crash), and for so long there is no incarnation: deadlines pass, ticks of
    /// schedules are missed.
    ///
    /// # Panics
    /// If the application cannot be launched again.
    #[expect(clippy::expect_used, reason = "a test that cannot go on has failed")]
    pub async fn crash_for(&self, down: Duration) {
        self.app
            .crash(down)
            .await
            .expect("the application launches again");
    }

    /// The operations that a workflow has recorded, in order: position and name (of a step or a
    /// transaction) or what the operation is.
    ///
    /// # Panics
    /// If there is no such workflow.
    #[expect(
        clippy::expect_used,
        reason = "a test that asks for what is not there has failed"
    )]
    pub async fn history(&self, id: &str) -> Vec<(String, String)> {
        let history = self
            .app
            .client()
            .history(id)
            .await
            .expect("the workflow exists");
        operations(&history)
    }

    /// Waits until a workflow has recorded this many operations.
    ///
    /// # Errors
    /// If there is no such workflow.
    pub async fn recorded(&self, id: &str, operations: usize) -> Result<(), Error> {
        while self.app.client().history(id).await?.operations.len() < operations {
            self.app
                .client()
                .changed(id, Duration::from_secs(1))
                .await?;
        }
        Ok(())
    }
}

fn operations(history: &History) -> Vec<(String, String)> {
    let shown = history
        .operations
        .iter()
        .filter_map(|record| match &record.place {
            Place::At(position) => {
                let name = match record.kind {
                    RecordKind::Step | RecordKind::Transaction => record.name.clone(),
                    kind => kind.as_str().to_owned(),
                };
                Some((position.to_string(), name))
            }
            _ => None,
        });
    shown.collect()
}
