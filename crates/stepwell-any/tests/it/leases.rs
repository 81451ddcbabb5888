//! Executors that live keep their work, whatever keeps the database from answering them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use stepwell::{App, Ctx, Timestamp, step, workflow};
use tokio::sync::Notify;

use crate::{database::Database, lock::Lock, on_both, wait::until};

on_both!(executors_that_could_not_renew_take_nothing_from_each_other);

const LEASE: Duration = Duration::from_secs(1);

/// Longer than a statement waits for a lock on SQLite, so that renewals fail, too.
const LOCKED: Duration = Duration::from_secs(8);

#[derive(stepwell::State, Clone, Default)]
struct Shared {
    #[provide]
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    begun: AtomicU32,
    go: Notify,
}

/// Waits until the test lets it go on.
#[step]
async fn wait_at_the_gate(#[state] seen: &Arc<Seen>) -> stepwell::Result<()> {
    let gone = seen.go.notified();
    seen.begun.fetch_add(1, SeqCst);
    gone.await;
    Ok(())
}

#[workflow]
async fn gated(ctx: &mut Ctx<Shared>) -> stepwell::Result<()> {
    ctx.run(wait_at_the_gate()).await
}

async fn launch(url: &str, shared: &Shared) -> App<Shared> {
    App::builder("leases")
        .database(url)
        .state(shared.clone())
        .lease(LEASE)
        .launch()
        .await
        .unwrap()
}

/// When each executor that is shown would lose its lease.
async fn ends(app: &App<Shared>) -> Vec<Timestamp> {
    let executors = app.client().executors().await.unwrap();
    executors.iter().map(|it| it.lease_expires_at).collect()
}

async fn executors_that_could_not_renew_take_nothing_from_each_other(db: &Database) {
    const EACH: u32 = 6;
    let (url, shared) = (db.workflows(), Shared::default());
    let apps = [launch(&url, &shared).await, launch(&url, &shared).await];
    let mut handles = Vec::new();
    for app in &apps {
        for _ in 0..EACH {
            handles.push(app.start(gated()).await.unwrap());
        }
    }
    until("every step has begun", async || {
        shared.seen.begun.load(SeqCst) == 2 * EACH
    })
    .await;
    let incarnations: Vec<_> = apps.iter().map(App::executor).collect();

    let now = || apps[0].client().now();
    let lock = Lock::take(&url).await;
    let locked_until = now() + LOCKED;
    until("the lock outlasts the leases", async || {
        now() > locked_until
    })
    .await;
    lock.release().await;
    let released = now();
    until(
        "both have renewed, and could judge each other",
        async || {
            let ends = ends(&apps[0]).await;
            let renewed = ends.len() == 2 && ends.iter().all(|end| *end > released + LEASE);
            renewed && now() > released + LEASE * 3
        },
    )
    .await;

    let after: Vec<_> = apps.iter().map(App::executor).collect();
    assert_eq!(after, incarnations, "a living executor lost its lease");
    until("the steps go on", async || {
        shared.seen.go.notify_waiters();
        let mut states = Vec::new();
        for handle in &handles {
            states.push(handle.status().await.unwrap());
        }
        states.iter().all(|it| *it == stepwell::State::Succeeded)
    })
    .await;
    assert_eq!(shared.seen.begun.load(SeqCst), 2 * EACH, "a step ran twice");
    for app in apps {
        app.shutdown().await;
    }
}
