//! The sources of an application.

use std::{fmt, panic::AssertUnwindSafe};

use futures_util::FutureExt;
use stepwell_core::{App, BoxFuture, Call, Error, ErrorKind, Workflow, limits::Text};
use tokio::task::JoinSet;

use crate::{
    delivery::Delivery,
    intake::Intake,
    source::{Connected, Source},
};

/// The sources of an application, and what their events start.
pub struct Sources<S = ()> {
    app: App<S>,
    names: Vec<String>,
    #[cfg(feature = "axum")]
    routes: axum::Router,
    /// With the names of their sources.
    consumers: Vec<(String, BoxFuture<'static, ()>)>,
}

impl<S> fmt::Debug for Sources<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

impl<S: Send + Sync + 'static> Sources<S> {
    /// Begins the sources of an application.
    #[must_use]
    pub fn new(app: &App<S>) -> Self {
        Self {
            app: app.clone(),
            names: Vec::new(),
            #[cfg(feature = "axum")]
            routes: axum::Router::new(),
            consumers: Vec::new(),
        }
    }

    /// Adds a source; `map` says which workflow an event starts.
    ///
    /// The workflow's id is the event's ([`event_id`](crate::event_id)), unless the call has one of its
    /// own: then an event that would start other work than the one that has it is
    /// [`Poison`](crate::Poison), as is one whose unique key is taken, where that is refused ([`Unique::reject`](stepwell_core::Unique::reject)): without it an event joins the work that has the key, and nothing more is kept of it. What `map` refuses, or panics at, is [`Poison`](crate::Poison). It must come to the same for
    /// the same event, and do nothing else: it may be asked more than once.
    ///
    /// # Errors
    /// [`ErrorKind::Setup`] for a second source of one name, and what [`Source::connect`] refuses.
    pub fn add<W, E>(
        mut self,
        source: impl Source<W>,
        map: impl Fn(&Delivery) -> Result<Call<W>, E> + Send + Sync + 'static,
    ) -> Result<Self, Error>
    where
        W: Workflow<State = S>,
        E: fmt::Display,
    {
        let name = source.name().to_owned();
        Text::SourceName
            .check(&name)
            .map_err(|error| Error::new(ErrorKind::Setup, error.to_string()))?;
        if self.names.contains(&name) {
            let message = format!(
                "two sources are named `{name}`: events of both could have one id; name one of them \
                 otherwise (`.named(…)`)"
            );
            return Err(Error::new(ErrorKind::Setup, message));
        }
        let intake = Intake::new(&self.app, &name, map);
        match source.connect(intake)? {
            #[cfg(feature = "axum")]
            Connected::Routes(routes) => self.routes = self.routes.merge(routes),
            Connected::Consumer(consumer) => self.consumers.push((name.clone(), consumer)),
        }
        self.names.push(name);
        Ok(self)
    }

    /// The routes of the sources whose events come as requests.
    #[cfg(feature = "axum")]
    pub fn routes<T: Clone + Send + Sync + 'static>(&self) -> axum::Router<T> {
        self.routes.clone().with_state(())
    }

    /// Begins to fetch events, until the application stops. Call it within a tokio runtime.
    pub fn start(self) -> Consumers {
        Consumers(self.consumers.into_iter().map(guarded).collect())
    }
}

/// A consumer whose panic is said at once: nobody may ask for its end before the application stops.
async fn guarded((source, consumer): (String, BoxFuture<'static, ()>)) {
    if AssertUnwindSafe(consumer).catch_unwind().await.is_err() {
        tracing::error!(
            source,
            "a source of events has ended in a panic; its events wait until the application starts anew"
        );
    }
}

/// Sources that fetch their events. Dropping it stops them where they stand, which loses nothing: what
/// was not acknowledged comes again.
#[must_use = "sources stop when this is dropped"]
#[derive(Debug)]
pub struct Consumers(JoinSet<()>);

impl Consumers {
    /// Returns when all have ended: after the application was told to stop.
    pub async fn ended(mut self) {
        while self.0.join_next().await.is_some() {}
    }
}
