//! The workflows on `durare`, written as its documentation writes them.

use std::{sync::Arc, time::Duration};

use durare::{DurableContext, DurableEngine, WorkflowHandle, WorkflowOptions, WorkflowQueue};

use crate::driver::{
    Error, Library, drain,
    rounds::Laps,
    wakes::{ENDED, PUBLISHED, RECEIVED, STEPPED},
};

/// What `SqliteProvider::connect` sets.
pub(crate) const SETTINGS_SQLITE: &str = "5 connections, WAL, synchronous = NORMAL: \
     a commit does not wait for the disk, and a power cut may undo the last ones; \
     queues polled every second";
/// What `PostgresProvider::connect` sets.
pub(crate) const SETTINGS_POSTGRES: &str =
    "8 connections, LISTEN/NOTIFY, queues polled every second; every checkpoint is a commit";

const IDLE: &str = "idle";
const LIMITED: &str = "limited";
const PATIENCE: Duration = Duration::from_secs(3_600);

#[derive(Clone)]
pub(crate) struct Durare {
    engine: Arc<DurableEngine>,
}

#[durare::step]
async fn nop(ctx: &DurableContext, number: u32) -> durare::Result<u32> {
    Ok(number)
}

#[durare::workflow]
async fn steps(ctx: DurableContext, count: u32) -> durare::Result<u32> {
    let mut laps = Laps::of(count);
    let mut sum = 0;
    for number in 0..count {
        let begun = Laps::begin();
        sum += nop(&ctx, number).await?;
        laps.end(begun);
    }
    Ok(sum)
}

#[durare::workflow]
async fn waits(ctx: DurableContext, _input: ()) -> durare::Result<u32> {
    let ping: Option<u32> = ctx.recv("ping", PATIENCE).await?;
    RECEIVED.set();
    PUBLISHED.set();
    ctx.set_event("pong", ping.unwrap_or(0)).await?;
    let again: Option<u32> = ctx.recv("ping", PATIENCE).await?;
    ENDED.set();
    Ok(again.unwrap_or(0))
}

#[durare::step]
async fn first(ctx: &DurableContext) -> durare::Result<u32> {
    STEPPED.set();
    Ok(1)
}

#[durare::workflow]
async fn queued(ctx: DurableContext, _input: ()) -> durare::Result<u32> {
    first(&ctx).await
}

#[durare::step]
async fn pass(ctx: &DurableContext) -> durare::Result<()> {
    drain::pass().await;
    Ok(())
}

#[durare::workflow]
async fn gated(ctx: DurableContext, _input: ()) -> durare::Result<()> {
    pass(&ctx).await
}

impl Durare {
    pub(crate) async fn launch(url: &str) -> Result<Self, Error> {
        let mut engine = DurableEngine::connect(url).await?.build().await?;
        engine.register_queue(WorkflowQueue::new(IDLE));
        engine.register_queue(WorkflowQueue::new(LIMITED).global_concurrency(drain::LIMIT.into()));
        engine.launch().await?;
        Ok(Self {
            engine: Arc::new(engine),
        })
    }
}

impl Library for Durare {
    type Handle = WorkflowHandle<u32>;

    async fn run_steps(&self, count: u32) -> Result<(), Error> {
        let options = WorkflowOptions::default();
        self.engine.start_with(Steps, count, options).await?.await?;
        Ok(())
    }

    async fn start_waiter(&self) -> Result<(String, Self::Handle), Error> {
        let options = WorkflowOptions::default();
        let handle = self.engine.start_with(Waits, (), options).await?;
        Ok((handle.id().to_owned(), handle))
    }

    async fn send(&self, id: &str) -> Result<(), Error> {
        self.engine.send(id, 1, "ping").await?;
        Ok(())
    }

    async fn read_event(&self, id: String) -> Result<(), Error> {
        let pong: Option<u32> = self.engine.get_event(&id, "pong", PATIENCE).await?;
        pong.ok_or("no event")?;
        Ok(())
    }

    async fn result(&self, of: Self::Handle) -> Result<(), Error> {
        of.await?;
        Ok(())
    }

    async fn run_queued(&self) -> Result<(), Error> {
        let options = WorkflowOptions::default().queue(IDLE);
        self.engine.start_with(Queued, (), options).await?.await?;
        Ok(())
    }

    async fn enqueue_gated(&self) -> Result<(), Error> {
        let options = WorkflowOptions::default().queue(LIMITED);
        self.engine.start_with(Gated, (), options).await?;
        Ok(())
    }
}
