//! A program that makes changes of every kind, and what must have come of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use stepwell::{
    App, Client, Ctx, Error, ErrorKind, Event, Failure, Handle, Payload, Position, Queue,
    ScheduleSpec, State, Stream, Topic, WorkflowError, step,
    store::{Change, Filter, QueueLimits},
    workflow,
};
use stepwell_conformance::{Fault, Spoiled};

pub(crate) const LEASE: Duration = Duration::from_secs(1);

/// How long a world may take; one that is stranded takes for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pause between two looks at a condition.
const LOOK: Duration = Duration::from_millis(10);

/// Nothing is refused more often before there is a verdict. That something is stuck is never one.
const VERDICT_BY: u32 = 6;

const GO: Topic<u32> = Topic::new("go");
const READY: Event<u32> = Event::new("ready");
const LOG: Stream<u32> = Stream::new("log");
static LINE: Queue = Queue::new("line");

#[derive(stepwell::State, Default)]
pub(crate) struct World {
    #[provide]
    steps: AtomicU32,
    /// Alerts that were told.
    #[provide]
    told: Told,
}

#[derive(Default)]
pub(crate) struct Told(AtomicU32);

#[step]
async fn count(#[state] steps: &AtomicU32) -> stepwell::Result<u32> {
    steps.fetch_add(1, SeqCst);
    Ok(1)
}

#[workflow]
async fn child(ctx: &mut Ctx<World>) -> stepwell::Result<u32> {
    ctx.run(count()).await
}

/// Does everything that a workflow can; four steps, two of them its children's.
#[workflow]
async fn parent(ctx: &mut Ctx<World>, receiver: String) -> stepwell::Result<u32> {
    ctx.set_attribute("customer", "c-1").await;
    ctx.set_event(READY, 7).await;
    ctx.append(LOG, 1).await;
    let mut sum = ctx.run(count()).await?;
    ctx.append(LOG, 2).await;
    ctx.send(&receiver, GO, 5).await;
    let detached = ctx.start(child().queue(&LINE)).await;
    sum += ctx.run(child()).await?;
    sum += ctx.run(detached).await?;
    sum += ctx.run(count()).await?;
    Ok(sum + ctx.recv(GO).await)
}

/// Waits for long: it is parked.
#[workflow]
async fn hears(ctx: &mut Ctx<World>) -> stepwell::Result<u32> {
    Ok(ctx.recv(GO).await)
}

#[workflow(name = "fails_in_the_world")]
async fn fails(_ctx: &mut Ctx<World>) -> stepwell::Result<()> {
    Err(Failure::msg("no stock"))
}

/// Gets stuck: what it is sent is no number.
#[workflow]
async fn misreads(ctx: &mut Ctx<World>) -> stepwell::Result<u32> {
    Ok(ctx.recv(GO).await)
}

#[workflow]
async fn tells(ctx: &mut Ctx<World>) -> stepwell::Result<()> {
    ctx.state().told.0.fetch_add(1, SeqCst);
    Ok(())
}

/// One world, while a change of it is spoiled.
struct Play<'f> {
    app: App<World>,
    client: Client,
    fault: &'f Fault,
    prefix: &'f str,
    /// The number of times that a workflow was resumed after a change was refused for good.
    put_right: AtomicU32,
}

pub(crate) async fn play(store: &Arc<Spoiled>, fault: &Fault, prefix: &str, name: &str) {
    let builder = App::builder(format!("world-{prefix}"));
    let builder = builder
        .store(Arc::clone(store) as _)
        .state(World::default());
    let builder = builder.lease(LEASE).park_after(Duration::from_millis(50));
    let app = builder.on_dead_letter(|_| tells()).launch().await.unwrap();
    let play = Play {
        client: app.client().clone(),
        app,
        fault,
        prefix,
        put_right: AtomicU32::new(0),
    };
    let played = tokio::time::timeout(PATIENCE, async {
        tokio::select! {
            () = play.act() => {}
            () = play.put_right() => {}
        }
        play.has_ended(store, name).await;
    });
    if played.await.is_err() {
        let left = play.list(Vec::new()).await;
        panic!("{name}: stranded: {left:#?}");
    }
    play.app.shutdown().await;
}

impl Play<'_> {
    fn id(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// Repeats what a client asks for until it is done. Whatever is refused for good is put right.
    async fn until<T>(&self, ask: impl AsyncFn() -> Result<T, Error>) -> T {
        loop {
            match ask().await {
                Ok(done) => return done,
                Err(error) => match error.kind() {
                    ErrorKind::Invalid => self.fault.ends(),
                    ErrorKind::Unavailable | ErrorKind::Internal => {}
                    other => panic!("{other:?}: {error}"),
                },
            }
        }
    }

    /// What a workflow comes to, however often it is stuck before.
    async fn result<W>(&self, handle: &Handle<W>) -> Result<W::Output, WorkflowError<W::Error>>
    where
        W: stepwell::Workflow<State = World>,
    {
        loop {
            match handle.result().await {
                Err(WorkflowError::Stuck(_)) => tokio::time::sleep(LOOK).await,
                Err(WorkflowError::Engine(error)) if error.kind() == ErrorKind::Unavailable => {}
                ended => return ended,
            }
        }
    }

    /// What a person does with a workflow that was refused for good: puts the cause right, and resumes.
    async fn put_right(&self) {
        loop {
            if self.fault.struck() > VERDICT_BY {
                self.fault.ends();
            }
            for stuck in self.list(vec![State::Stuck]).await {
                if stuck.name != "misreads" {
                    self.fault.ends();
                    if self.client.resume(stuck.id.as_str()).await.is_ok() {
                        self.put_right.fetch_add(1, SeqCst);
                    }
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn list(&self, states: Vec<State>) -> Vec<stepwell::store::Workflow> {
        let filter = Filter {
            states,
            id_prefix: Some(format!("{}-", self.prefix)),
            ..Filter::default()
        };
        self.client.list(filter).await.unwrap()
    }

    async fn act(&self) {
        self.steer().await;
        let receiver = self.id("receiver");
        let hears = self
            .until(async || self.app.start(hears().id(&*receiver)).await)
            .await;
        while self.client.get(&receiver).await.unwrap().unwrap().state != State::Parked {
            tokio::time::sleep(LOOK).await;
        }
        let id = self.id("parent");
        let start = async || self.app.start(parent(receiver.clone()).id(&*id)).await;
        let parent = self.until(start).await;
        let send = async || {
            let key = Some("once".to_owned());
            self.client
                .send(&id, "go", Payload::from_stored("10".into()), key)
                .await
        };
        self.until(send).await;
        assert_eq!(self.result(&parent).await.unwrap(), 14);
        assert_eq!(self.result(&hears).await.unwrap(), 5);
        self.see_to_a_failure().await;
        self.get_stuck().await;
        self.cancel().await;
    }

    /// Queues and schedules.
    async fn steer(&self) {
        let schedule = self.id("nightly");
        let define = async || {
            let spec = ScheduleSpec::new(&*schedule, "0 0 1 1 *");
            let arguments = Payload::from_stored("[]".to_owned());
            self.client.define_schedule(spec, "tells", arguments).await
        };
        self.until(define).await;
        // A queue is there once something was started in it.
        let id = self.id("first");
        let first = self
            .until(async || self.app.start(child().id(&*id).queue(&LINE)).await)
            .await;
        assert_eq!(self.result(&first).await.unwrap(), 1);
        let limits = QueueLimits {
            concurrency: Some(5),
            ..QueueLimits::default()
        };
        self.until(async || self.client.limit_queue("line", limits).await)
            .await;
        self.until(async || self.client.pause_schedule(&schedule, "me", "").await)
            .await;
        self.until(async || gone(self.client.remove_schedule(&schedule).await))
            .await;
    }

    /// Fails, is looked at, and is tried again as another workflow.
    async fn see_to_a_failure(&self) {
        let (id, again) = (self.id("fails"), self.id("fails-again"));
        let failed = self
            .until(async || self.app.start(fails().id(&*id)).await)
            .await;
        let ended = self.result(&failed).await;
        assert!(matches!(ended, Err(WorkflowError::Failed(_))), "{ended:?}");
        let from = Position::top(0);
        self.until(async || self.client.fork(&id, &again, from.clone()).await)
            .await;
        let handle = self.app.handle::<fails>(&*again);
        assert!(self.result(&handle).await.is_err());
        self.until(async || self.client.acknowledge(&id, "seen").await)
            .await;
    }

    /// Gets stuck, is resumed, is stuck again, and is deleted.
    async fn get_stuck(&self) {
        let id = self.id("misreads");
        self.until(async || self.app.start(misreads().id(&*id)).await)
            .await;
        let send = async || {
            let word = Payload::from_stored("\"seven\"".to_owned());
            self.client
                .send(&id, "go", word, Some("word".to_owned()))
                .await
        };
        self.until(send).await;
        self.until_stuck(&id).await;
        self.until(async || resumed(self.client.resume(&id).await))
            .await;
        self.until_stuck(&id).await;
        self.until(async || gone(self.client.delete(&id).await))
            .await;
    }

    async fn until_stuck(&self, id: &str) {
        while self.client.get(id).await.unwrap().unwrap().state != State::Stuck {
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn cancel(&self) {
        let id = self.id("cancelled");
        let handle = self
            .until(async || self.app.start(hears().id(&*id)).await)
            .await;
        self.until(async || self.client.cancel(&id).await).await;
        let ended = self.result(&handle).await;
        assert!(matches!(ended, Err(WorkflowError::Cancelled)), "{ended:?}");
    }

    /// Nothing is on its way, everything has happened, and nothing twice.
    async fn has_ended(&self, store: &Spoiled, name: &str) {
        let unfinished = [
            State::Running,
            State::Enqueued,
            State::Delayed,
            State::Parked,
            State::Stuck,
        ];
        while !self.list(unfinished.to_vec()).await.is_empty() {
            tokio::time::sleep(LOOK).await;
        }
        // A step whose record was refused for good is not recorded, and runs again.
        let again = self.put_right.load(SeqCst);
        let steps = self.app.state().steps.load(SeqCst);
        assert!(
            (5..=5 + again).contains(&steps),
            "{name}: {steps} steps, {again} put right"
        );
        let parent = self.id("parent");
        let log = self.client.stream(&parent, "log", 0).await.unwrap();
        let log: Vec<u32> = log
            .iter()
            .map(|entry| entry.value.read().unwrap())
            .collect();
        assert_eq!(log, [1, 2]);
        let events = self.client.events(&parent).await.unwrap();
        assert_eq!(events.len(), 1);
        let row = self.client.get(&parent).await.unwrap().unwrap();
        assert_eq!(row.attributes, [("customer".to_owned(), "c-1".to_owned())]);
        let seen = self.client.get(&self.id("fails")).await.unwrap().unwrap();
        assert!(seen.acknowledged.is_some());
        assert!(
            self.client
                .get(&self.id("misreads"))
                .await
                .unwrap()
                .is_none()
        );
        let order = in_order(store);
        assert!(order.is_none(), "{order:?}");
    }
}

/// A repeated request may find that it is done.
fn gone(done: Result<(), Error>) -> Result<(), Error> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn resumed(done: Result<(), Error>) -> Result<(), Error> {
    match done {
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
        done => done,
    }
}

/// Records of a run that were written behind later ones.
fn in_order(store: &Spoiled) -> Option<String> {
    use stepwell::store::{Applied, Progressed};
    let mut last = std::collections::HashMap::new();
    for (change, applied) in store.applied() {
        let (Change::Progress(progress), Applied::Progress(Progressed::Recorded(_))) =
            (change, applied)
        else {
            continue;
        };
        for record in progress.records {
            let place = record.place.encode();
            let before = last.insert(progress.key, place.clone());
            // An operation is recorded behind those below it.
            if before.is_some_and(|before| before > place && !before.starts_with(&place)) {
                return Some(format!("{place} of {} came late", progress.key));
            }
        }
    }
    None
}
