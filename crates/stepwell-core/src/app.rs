//! [`App`]: the application's workflows, its state, and the executor that runs them.

mod alerts;
mod starts;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

use crate::{
    alert::Alerts,
    call::Call,
    client::{Client, ClientCore, ScheduleSpec},
    clock::{Clock, SystemClock},
    config::Config,
    durable::{Durable, Workflow},
    engine::Engine,
    error::{Error, ErrorKind},
    handle::{Handle, Wait},
    id::ExecutorId,
    limits::Text,
    names::{Event, Topic},
    observe::{Observer, Observers},
    payload::Payload,
    registry::{Registration, Registry},
    schedule::Ticks,
    send::Sending,
    store::{Store, StoreUrl, open_store},
};

/// An application: workflows, the state that they share, and an executor that runs them. Cheap to
/// clone; all clones are one application.
pub struct App<S = ()> {
    inner: Arc<Inner<S>>,
}

struct Inner<S> {
    state: Arc<S>,
    client: Client,
    registry: Arc<Registry>,
    config: Config,
    alerts: Arc<Alerts>,
    engine: Mutex<Arc<Engine>>,
}

impl<S> Clone for App<S> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<S> fmt::Debug for App<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("name", &self.inner.config.application)
            .field("workflows", &self.inner.registry)
            .finish_non_exhaustive()
    }
}

impl App<()> {
    /// Begins an application. Executors with the same name on the same database share its work.
    #[must_use]
    pub fn builder(name: impl Into<String>) -> AppBuilder<()> {
        AppBuilder {
            state: (),
            url: None,
            store: None,
            clock: Arc::new(SystemClock),
            config: Config::new(name.into()),
            registrations: Vec::new(),
            alerts: Alerts::default(),
            observers: Observers::default(),
        }
    }
}

/// What an application is made from.
pub struct AppBuilder<S> {
    state: S,
    url: Option<StoreUrl>,
    store: Option<Arc<dyn Store>>,
    clock: Arc<dyn Clock>,
    config: Config,
    registrations: Vec<Registration>,
    alerts: Alerts,
    observers: Observers,
}

impl<S> fmt::Debug for AppBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl<S: Send + Sync + 'static> AppBuilder<S> {
    /// Gives the workflows a state: pools, clients, settings.
    pub fn state<T: Send + Sync + 'static>(self, state: T) -> AppBuilder<T> {
        AppBuilder {
            state,
            url: self.url,
            store: self.store,
            clock: self.clock,
            config: self.config,
            registrations: self.registrations,
            alerts: self.alerts,
            observers: self.observers,
        }
    }

    /// Names the database that keeps the workflows: `sqlite:shop.db`. Without it, the environment
    /// does, as for the command line: `STEPWELL_DATABASE_URL`, else `DATABASE_URL`. Where neither is
    /// set it is `sqlite:<name>.db` in the current directory; one that is set and empty is refused.
    #[must_use]
    pub fn database(mut self, url: impl AsRef<str>) -> Self {
        self.url = Some(StoreUrl::new(url.as_ref()));
        self
    }

    /// Takes a store that is open already, instead of a URL.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    #[doc(hidden)]
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    #[must_use]
    pub(crate) fn alone(mut self) -> Self {
        self.config = self.config.alone();
        self
    }

    /// Registers a workflow by hand, where those that are linked are not found by themselves.
    #[must_use]
    pub fn register<W: Workflow>(mut self) -> Self {
        self.registrations.push(Registration::of::<W>());
        self
    }

    /// Names the version of the code. A workflow that is stuck in one version is tried again by
    /// another. By default every build of the executable is a version.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.config.version = version.into();
        self
    }

    /// How long this executor may be silent before others take its workflows over; 8 s by default,
    /// from 100 ms to a day.
    ///
    /// Silent is who cannot renew it for that long while the database answers others. Steps that
    /// block their threads do not count: the lease is kept on a thread of its own.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.config.lease = lease;
        self
    }

    /// How many recoveries without a new record make a workflow dead; 100 by default.
    #[must_use]
    pub fn recoveries_max(mut self, recoveries: u32) -> Self {
        self.config.recoveries_max = recoveries;
        self
    }

    /// How many workflows that wait for an executor this one takes at most; 10,000 by default.
    /// Those that are started here directly are not bounded by it.
    #[must_use]
    pub fn workflows_max(mut self, workflows: u32) -> Self {
        self.config.workflows_max = workflows;
        self
    }

    /// How long a workflow waits in memory (for a sleep, a message, an event, another workflow or the
    /// next attempt of a step) before it is parked; a minute by default.
    ///
    /// A parked workflow costs a row and no memory: its future is dropped, and whichever executor
    /// takes it when what it waits for comes goes on from its history. Workflows in a queue are not
    /// parked: they keep their places.
    #[must_use]
    pub fn park_after(mut self, wait: Duration) -> Self {
        self.config.park_after = Some(wait);
        self
    }

    /// How long a step may go on after its workflow was cancelled or the application told to stop,
    /// and a transaction after the latter; 5 s by default.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.config.grace = grace;
        self
    }

    /// How large an argument, a result, an event or a message may be as JSON; 16 MiB by default.
    #[must_use]
    pub fn payload_bytes_max(mut self, bytes: usize) -> Self {
        self.config.payload_bytes_max = bytes;
        self
    }

    /// Tells an observer what happens, to be measured. One at most: a second one takes its place.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observers = Observers::of(Arc::new(observer));
        self
    }

    /// Opens the database. The application can start workflows and read them; it runs none until it
    /// is launched.
    ///
    /// # Errors
    /// [`ErrorKind::Setup`] if a setting is out of its bounds, two workflows have one name, a schedule
    /// is no cron expression, an alert counts nothing or within no time, or the database cannot be
    /// used;
    /// [`ErrorKind::Unavailable`] if it does not answer.
    pub async fn build(self) -> Result<App<S>, Error> {
        let config = self.config;
        config
            .check()
            .map_err(|error| Error::new(ErrorKind::Setup, error.to_string()))?;
        self.alerts
            .check()
            .map_err(|error| Error::new(ErrorKind::Setup, error.to_string()))?;
        let state = Arc::new(self.state);
        let mut registry = Registry::linked(&state)?;
        for registration in &self.registrations {
            registry.add(registration, &state)?;
        }
        check_schedules(&registry)?;
        let store = match self.store {
            Some(store) => store,
            None => {
                let url = match self.url {
                    Some(url) => url,
                    None => default_url(&config.application)?,
                };
                let opened = open_store(&url, self.clock).await;
                opened.map_err(|error| Error::of_opening(&format!("open `{url}`"), error))?
            }
        };
        let mut core = ClientCore::new(store, config.payload_bytes_max, self.observers);
        core.look_again = config.look_again;
        let client = Client(Arc::new(core));
        let registry = Arc::new(registry);
        let alerts = Arc::new(self.alerts);
        let engine = Engine::new(
            client.clone(),
            config.clone(),
            Arc::clone(&registry),
            Arc::clone(&alerts),
        );
        engine.open();
        let engine = Mutex::new(engine);
        Ok(App {
            inner: Arc::new(Inner {
                state,
                client,
                registry,
                config,
                alerts,
                engine,
            }),
        })
    }

    /// Opens the database, takes over what dead executors have left, and runs workflows from now on.
    ///
    /// # Errors
    /// As [`build`](Self::build) and [`App::launch`].
    pub async fn launch(self) -> Result<App<S>, Error> {
        let app = self.build().await?;
        app.launch().await?;
        Ok(app)
    }
}

fn default_url(application: &str) -> Result<StoreUrl, Error> {
    let from_environment = StoreUrl::from_environment();
    let url = from_environment.map_err(|error| Error::new(ErrorKind::Setup, error.to_string()))?;
    Ok(url.unwrap_or_else(|| StoreUrl::new(format!("sqlite:{application}.db"))))
}

fn check_schedules(registry: &Registry) -> Result<(), Error> {
    registry
        .iter()
        .filter_map(|(name, known)| Some((name, known.schedule?)))
        .try_for_each(|(name, schedule)| {
            let named = Text::ScheduleName.check(name);
            let checked = named.and_then(|()| Ticks::of(schedule.spec, schedule.timezone));
            checked.map(drop).map_err(|error| {
                Error::new(
                    ErrorKind::Setup,
                    format!("the schedule of the workflow `{name}`: {error}"),
                )
            })
        })
}

impl<S: Send + Sync + 'static> App<S> {
    /// Begins to run workflows: what dead executors have left, what waits, what is started from now
    /// on. Nothing has to be recovered by hand. Launching twice is launching once.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if the database does not answer, or the application was shut down.
    pub async fn launch(&self) -> Result<(), Error> {
        self.engine().begin().await
    }

    /// The state that the workflows share.
    #[must_use]
    pub fn state(&self) -> &S {
        &self.inner.state
    }

    /// The application's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.config.application
    }

    /// Who this process is among the executors: its identity changes when it has lost its lease. None
    /// while it has none.
    #[must_use]
    pub fn executor(&self) -> Option<ExecutorId> {
        self.inner.client.0.journal.executor()
    }

    /// Workflows by id, without types: lists, histories, cancel, resume, fork.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.inner.client
    }

    /// Makes a schedule known that starts a workflow with arguments of its own, or changes the one of
    /// this name. The call is made with the tick, which must be the workflow's first argument.
    ///
    /// ```ignore
    /// let spec = ScheduleSpec::new("report-eu", "0 3 * * *").timezone("Europe/Berlin");
    /// app.define_schedule(spec, |at| report(at, "eu".into()).queue(&REPORTS)).await?;
    /// ```
    ///
    /// It stays when the process ends. Defined again as it is, it keeps its next tick, so this may
    /// stand where the program starts.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is no schedule, or the call gives an id, a delay or the like,
    /// which are the tick's; [`ErrorKind::Conflict`] if the code declares one of this name.
    pub async fn define_schedule<W: Workflow<State = S>>(
        &self,
        spec: ScheduleSpec,
        call: impl FnOnce(Timestamp) -> Call<W>,
    ) -> Result<(), Error> {
        let call = call(Timestamp::UNIX_EPOCH);
        let (arguments, queue) = call.into_scheduled(self.inner.config.payload_bytes_max)?;
        let spec = match queue {
            Some(queue) => spec.queue(queue),
            None => spec,
        };
        let client = &self.inner.client;
        client.define_schedule(spec, W::NAME, arguments).await
    }

    /// The handle of a workflow that is known by its id. Whether it exists is seen when it is used.
    #[must_use]
    pub fn handle<W: Workflow>(&self, id: impl Into<String>) -> Handle<W> {
        Handle::new(id.into(), self.inner.client.clone())
    }

    /// Puts a message into a workflow's inbox, once it is awaited. See [`Sending`].
    ///
    /// ```ignore
    /// // However often the request comes, the workflow is paid once.
    /// app.send("order-7", PAID, amount).key(payment_id).await?;
    /// ```
    #[allow(
        clippy::needless_pass_by_value,
        reason = "a message is sent away: callers have no more use for it"
    )]
    pub fn send<T: Durable>(&self, id: &str, topic: Topic<T>, message: T) -> Sending {
        let message = Payload::of_durable(&message, self.inner.config.payload_bytes_max);
        Sending::new(self.inner.client.clone(), id, topic.name(), message)
    }

    /// Waits for a value that a workflow publishes, for at most 60 s unless said otherwise.
    pub fn get_event<T: Durable>(&self, id: impl Into<String>, event: Event<T>) -> Wait<T> {
        Wait::new(self.inner.client.clone(), id.into(), event)
    }

    /// How large an argument, a result, an event or a message may be as JSON.
    #[must_use]
    pub fn payload_bytes_max(&self) -> usize {
        self.inner.config.payload_bytes_max
    }

    /// Whether the application takes work: launched, and not shutting down.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let engine = self.engine();
        self.inner.client.0.journal.executor().is_some() && !engine.stopping.is_cancelled()
    }

    /// Whether this process runs workflows, and takes more of them.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.is_ready() && self.engine().free_places() > 0
    }

    /// Returns when the application has begun to shut down. Streams that would stay open end here.
    pub async fn stopping(&self) {
        self.engine().stopping.cancelled().await;
    }

    /// Returns when running steps have had their time to end after a [`shutdown`](Self::shutdown):
    /// no workflow gets any further in this process.
    pub async fn stopped(&self) {
        self.engine().stopped.cancelled().await;
    }

    /// Stops taking work: from now on [`stopping`](Self::stopping) returns.
    pub fn stop_taking_work(&self) {
        self.engine().stopping.cancel();
    }

    /// Lets running steps and transactions end within the grace period, writes what they recorded,
    /// and hands the rest back, so that another executor goes on with it at once. Call it once, at
    /// the end: what was shut down cannot be launched again.
    ///
    /// Whatever hangs, it returns: writing takes as long as the grace period again, from one to five
    /// seconds, and so does handing back. So a database that is away, or a step that blocks its
    /// thread, holds it up for 15 s unless [`grace`](AppBuilder::grace) says otherwise. Such a step
    /// goes on in its thread, but records nothing any more; another executor runs it again.
    pub async fn shutdown(&self) {
        self.engine().shut_down().await;
    }

    pub(crate) fn engine(&self) -> Arc<Engine> {
        Arc::clone(
            &self
                .inner
                .engine
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Drops everything where it stands, and after a while begins anew on the same database, as a
    /// restarted process does. For tests.
    pub(crate) async fn crash(&self, down: Duration) -> Result<(), Error> {
        let before = self.engine();
        before.crash().await;
        tokio::time::sleep(down).await;
        let (client, config) = (self.inner.client.clone(), self.inner.config.clone());
        client.0.journal.reopen();
        let (registry, alerts) = (&self.inner.registry, &self.inner.alerts);
        let engine = Engine::new(client, config, Arc::clone(registry), Arc::clone(alerts));
        engine.mocks.take_from(&before.mocks);
        engine.open();
        *self
            .inner
            .engine
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Arc::clone(&engine);
        if let Some(gone) = self.inner.client.0.journal.executor() {
            // What the operating system tells a restarted process about its predecessor.
            let left = self.inner.client.0.store.retire(&gone).await;
            left.map_err(|error| Error::of_store("clean up after the crash", error))?;
            self.inner.client.0.journal.set_executor(None);
        }
        engine.begin().await
    }
}
