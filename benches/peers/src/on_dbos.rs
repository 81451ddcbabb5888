//! The workflows on `dbos`, written as its documentation writes them.

use std::time::Duration;

use dbos::{
    Config, DBOS, EngineOnly, Enqueue, QueueConflict, QueueOptions, SendOptions, StartOptions,
    WorkflowHandle, WorkflowRef,
};

use crate::driver::{
    Error, Library, drain,
    rounds::Laps,
    wakes::{ENDED, PUBLISHED, RECEIVED, STEPPED},
};

/// Its defaults, which its documentation does not advise to change.
pub(crate) const SETTINGS: &str =
    "10 connections, LISTEN/NOTIFY, queues polled every second; every checkpoint is a commit";

const PING: Option<&str> = Some("ping");
const IDLE: &str = "idle";
const LIMITED: &str = "limited";
const PATIENCE: Duration = Duration::from_secs(3_600);

#[derive(Clone)]
pub(crate) struct Dbos {
    dbos: DBOS,
    steps: WorkflowRef<u32, u32, EngineOnly>,
    waits: WorkflowRef<(), u32, EngineOnly>,
    queued: WorkflowRef<(), u32, EngineOnly>,
    gated: WorkflowRef<(), (), EngineOnly>,
}

async fn steps(count: u32) -> dbos::Result<u32> {
    let mut laps = Laps::of(count);
    let mut sum = 0;
    for number in 0..count {
        let begun = Laps::begin();
        sum += dbos::step("nop", || async move { dbos::Result::Ok(number) }).await?;
        laps.end(begun);
    }
    Ok(sum)
}

async fn waits() -> dbos::Result<u32> {
    let ping: Option<u32> = dbos::recv(PING, PATIENCE).await?;
    RECEIVED.set();
    PUBLISHED.set();
    dbos::set_event("pong", &ping.unwrap_or(0)).await?;
    let again: Option<u32> = dbos::recv(PING, PATIENCE).await?;
    ENDED.set();
    Ok(again.unwrap_or(0))
}

async fn queued() -> dbos::Result<u32> {
    dbos::step("first", || async {
        STEPPED.set();
        dbos::Result::Ok(1)
    })
    .await
}

async fn gated() -> dbos::Result<()> {
    dbos::step("pass", || async {
        drain::pass().await;
        dbos::Result::Ok(())
    })
    .await
}

impl Dbos {
    pub(crate) async fn launch(url: &str) -> Result<Self, Error> {
        let dbos = DBOS::new(Config {
            app_version: Some("1".to_owned()),
            ..Config::new("benches", url)
        });
        let library = Self {
            steps: dbos.register_workflow("steps", steps)?,
            waits: dbos.register_workflow("waits", |()| waits())?,
            queued: dbos.register_workflow("queued", |()| queued())?,
            gated: dbos.register_workflow("gated", |()| gated())?,
            dbos,
        };
        library.dbos.launch().await?;
        let always = QueueConflict::UpdateIfLatestVersion;
        let unlimited = QueueOptions::default();
        library.dbos.register_queue(IDLE, unlimited, always).await?;
        let limited = QueueOptions {
            concurrency: Some(i32::try_from(drain::LIMIT)?),
            ..QueueOptions::default()
        };
        library
            .dbos
            .register_queue(LIMITED, limited, always)
            .await?;
        Ok(library)
    }
}

fn on(queue: &str) -> StartOptions<'_> {
    StartOptions {
        queue: Some(Enqueue::new(queue)),
        ..StartOptions::default()
    }
}

impl Library for Dbos {
    type Handle = WorkflowHandle<u32, EngineOnly>;

    async fn run_steps(&self, count: u32) -> Result<(), Error> {
        self.steps.run(count).await?;
        Ok(())
    }

    async fn start_waiter(&self) -> Result<(String, Self::Handle), Error> {
        let handle = self.waits.start(()).await?;
        Ok((handle.workflow_id().to_owned(), handle))
    }

    async fn send(&self, id: &str) -> Result<(), Error> {
        let options = SendOptions {
            topic: PING,
            ..SendOptions::default()
        };
        self.dbos.send_with(id, &1, options).await?;
        Ok(())
    }

    async fn read_event(&self, id: String) -> Result<(), Error> {
        let pong: Option<u32> = self.dbos.get_event(&id, "pong", PATIENCE).await?;
        pong.ok_or("no event")?;
        Ok(())
    }

    async fn result(&self, of: Self::Handle) -> Result<(), Error> {
        of.result().await?;
        Ok(())
    }

    async fn run_queued(&self) -> Result<(), Error> {
        let handle = self.queued.start_with((), on(IDLE)).await?;
        handle.result().await?;
        Ok(())
    }

    async fn enqueue_gated(&self) -> Result<(), Error> {
        self.gated.start_with((), on(LIMITED)).await?;
        Ok(())
    }
}
