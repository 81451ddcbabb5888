//! The workflows on Stepwell.

use std::time::Duration;

use stepwell::{App, Ctx, Event, Handle, Queue, Topic, step, workflow};

use crate::driver::{
    Error, Library, drain,
    rounds::Laps,
    serve,
    wakes::{ENDED, PUBLISHED, RECEIVED, STEPPED},
};

const SETTINGS_SQLITE: &str = "WAL, synchronous = FULL: a commit waits for the disk";
const SETTINGS_POSTGRES: &str = "the server's synchronous_commit: a commit waits for the disk";

const PING: Topic<u32> = Topic::new("ping");
const PONG: Event<u32> = Event::new("pong");
static IDLE: Queue = Queue::new("idle");
static LIMITED: Queue = Queue::new("limited").concurrency(drain::LIMIT);

#[derive(Clone)]
struct Stepwell {
    app: App,
}

#[step]
async fn nop(number: u32) -> stepwell::Result<u32> {
    Ok(number)
}

#[workflow]
async fn steps(ctx: &mut Ctx, count: u32) -> stepwell::Result<u32> {
    let mut laps = Laps::of(count);
    let mut sum = 0;
    for number in 0..count {
        let begun = Laps::begin();
        sum += ctx.run(nop(number)).await?;
        laps.end(begun);
    }
    Ok(sum)
}

#[workflow]
async fn waits(ctx: &mut Ctx) -> stepwell::Result<u32> {
    let ping = ctx.recv(PING).await;
    RECEIVED.set();
    PUBLISHED.set();
    ctx.set_event(PONG, ping).await;
    let again = ctx.recv(PING).await;
    ENDED.set();
    Ok(again)
}

#[step]
async fn first() -> stepwell::Result<u32> {
    STEPPED.set();
    Ok(1)
}

#[workflow]
async fn queued(ctx: &mut Ctx) -> stepwell::Result<u32> {
    ctx.run(first()).await
}

#[step]
async fn pass() -> stepwell::Result<()> {
    drain::pass().await;
    Ok(())
}

#[workflow]
async fn gated(ctx: &mut Ctx) -> stepwell::Result<()> {
    ctx.run(pass()).await
}

/// Runs the workflows on the database that the URL names, as commands say.
pub(crate) async fn serve(database: &str) -> Result<(), Error> {
    let app = App::builder("benches").database(database).launch().await?;
    // It polls no queue, so that there is no moment between two polls to be met.
    let settings = if database.starts_with("postgres") {
        SETTINGS_POSTGRES
    } else {
        SETTINGS_SQLITE
    };
    serve::serve(Stepwell { app }, settings, Duration::ZERO).await
}

impl Library for Stepwell {
    type Handle = Handle<waits>;

    async fn run_steps(&self, count: u32) -> Result<(), Error> {
        self.app.run(steps(count)).await?;
        Ok(())
    }

    async fn start_waiter(&self) -> Result<(String, Self::Handle), Error> {
        let handle = self.app.start(waits()).await?;
        Ok((handle.id().to_owned(), handle))
    }

    async fn send(&self, id: &str) -> Result<(), Error> {
        self.app.send(id, PING, 1).await?;
        Ok(())
    }

    async fn read_event(&self, id: String) -> Result<(), Error> {
        self.app.get_event(id, PONG).await?.ok_or("no event")?;
        Ok(())
    }

    async fn result(&self, of: Self::Handle) -> Result<(), Error> {
        of.result().await?;
        Ok(())
    }

    async fn run_queued(&self) -> Result<(), Error> {
        self.app.run(queued().queue(&IDLE)).await?;
        Ok(())
    }

    async fn enqueue_gated(&self) -> Result<(), Error> {
        self.app.start(gated().queue(&LIMITED)).await?;
        Ok(())
    }
}
