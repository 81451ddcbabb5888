//! A shutdown ends, whatever hangs, and others go on with what is left.

use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use stepwell::{App, Ctx, State, step, workflow};
use tokio::{sync::Notify, time::timeout};

use crate::{
    database::Database,
    lock::Lock,
    on_both,
    threads::{Flavor, Threads},
    wait::{PATIENCE, until},
};

on_both!(
    a_shutdown_ends_while_nothing_can_be_written,
    a_shutdown_ends_while_a_step_blocks_its_only_thread,
);

/// Where the lease has to end, because nothing could be handed back.
const SHORT: Duration = Duration::from_secs(2);

#[derive(stepwell::State, Clone, Default)]
struct Shared {
    #[provide]
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    begun: AtomicU32,
    /// Lets a step go on that waits.
    go: Notify,
    /// Set when steps need not block any more.
    free: Mutex<bool>,
    freed: Condvar,
}

impl Seen {
    fn block(&self) {
        let mut free = self.free.lock().unwrap();
        while !*free {
            free = self.freed.wait(free).unwrap();
        }
    }

    fn unblock(&self) {
        *self.free.lock().unwrap() = true;
        self.freed.notify_all();
    }
}

#[step]
async fn wait(#[state] seen: &Arc<Seen>) -> stepwell::Result<()> {
    let go = seen.go.notified();
    if seen.begun.fetch_add(1, SeqCst) == 0 {
        go.await;
    }
    Ok(())
}

#[workflow(name = "waits_for_the_shutdown")]
async fn waits(ctx: &mut Ctx<Shared>) -> stepwell::Result<()> {
    ctx.run(wait()).await
}

/// As code does that was written for threads.
#[step]
async fn block(#[state] seen: &Arc<Seen>) -> stepwell::Result<()> {
    seen.begun.fetch_add(1, SeqCst);
    seen.block();
    Ok(())
}

#[workflow(name = "blocks_the_shutdown")]
async fn blocks(ctx: &mut Ctx<Shared>) -> stepwell::Result<()> {
    ctx.run(block()).await
}

async fn launch(url: String, shared: Shared, lease: Duration) -> App<Shared> {
    App::builder("shutdown")
        .database(url)
        .state(shared)
        .lease(lease)
        .grace(Duration::from_millis(200))
        .launch()
        .await
        .unwrap()
}

async fn a_shutdown_ends_while_nothing_can_be_written(db: &Database) {
    let (url, shared) = (db.workflows(), Shared::default());
    let app = launch(url.clone(), shared.clone(), SHORT).await;
    app.start(waits().id("w")).await.unwrap();
    until("the step has begun", async || {
        shared.seen.begun.load(SeqCst) == 1
    })
    .await;
    let lock = Lock::take(&url).await;
    // Its end is pending from now on.
    shared.seen.go.notify_waiters();
    let ended = timeout(PATIENCE, app.shutdown()).await;
    assert!(ended.is_ok(), "the shutdown waits for the database");
    lock.release().await;
    drop(app);

    let next = launch(url, shared, SHORT).await;
    let handle = next.handle::<waits>("w");
    let ended = timeout(PATIENCE, handle.result()).await;
    ended.expect("nobody goes on with it").unwrap();
    next.shutdown().await;
}

async fn a_shutdown_ends_while_a_step_blocks_its_only_thread(db: &Database) {
    for flavor in [Flavor::CurrentThread, Flavor::OneWorker] {
        let (url, shared) = (db.workflows(), Shared::default());
        let threads = Threads::new(flavor);
        let app = threads
            .run(launch(url.clone(), shared.clone(), PATIENCE))
            .await;
        let id = format!("{flavor:?}");
        app.start(blocks().id(&id)).await.unwrap();
        until("the step has begun", async || {
            shared.seen.begun.load(SeqCst) == 1
        })
        .await;
        let ended = timeout(PATIENCE, app.shutdown()).await;
        assert!(ended.is_ok(), "{flavor:?}: the shutdown waits for the step");

        // Its lease is far from its end, and its process lives.
        let free = Shared::default();
        free.seen.unblock();
        let next = launch(url, free, PATIENCE).await;
        let handle = next.handle::<blocks>(&id);
        let result = timeout(PATIENCE, handle.result()).await;
        result.expect("it was not handed back").unwrap();
        let takeovers = next.client().takeovers(&id).await.unwrap();
        let why: Vec<_> = takeovers.iter().map(|it| it.why.as_str()).collect();
        assert_eq!(why, ["handed back"], "{flavor:?}");

        // What goes on now has nobody to write for.
        shared.seen.unblock();
        threads.end().await;
        assert_eq!(handle.status().await.unwrap(), State::Succeeded);
        next.shutdown().await;
    }
}
