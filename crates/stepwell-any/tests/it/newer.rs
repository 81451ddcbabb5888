//! A newer version has recorded what this one does not know: it leaves the run alone, and says so.

use std::time::Duration;

use stepwell::{AnyPool, App, Ctx, State, Topic, step, workflow};

use crate::{database::Database, on_both};

on_both!(a_run_with_a_record_of_a_newer_version_is_stuck_here);

const GO: Topic<u32> = Topic::new("go");

#[derive(Default)]
struct Waiting;

#[step]
async fn note() -> stepwell::Result<u32> {
    Ok(8)
}

#[workflow]
async fn note_and_wait(ctx: &mut Ctx<Waiting>) -> stepwell::Result<u32> {
    Ok(ctx.run(note()).await? + ctx.recv(GO).await)
}

async fn launch(database: &Database) -> App<Waiting> {
    let builder = App::builder("newer").database(database.workflows());
    builder.state(Waiting).launch().await.unwrap()
}

/// What the newer version has written.
async fn teleport(database: &Database) {
    if database.url.starts_with("sqlite:") {
        let pool = AnyPool::connect(&database.workflows()).await.unwrap();
        let sql = "update records set kind = 'teleport' where kind = 'step'";
        pool.execute_script(sql).await.unwrap();
        pool.close().await;
    } else {
        let sql = "update shop.records set kind = 'teleport' where kind = 'step'";
        database.pool.execute_script(sql).await.unwrap();
    }
}

async fn a_run_with_a_record_of_a_newer_version_is_stuck_here(database: &Database) {
    let app = launch(database).await;
    app.start(note_and_wait().id("one")).await.unwrap();
    let recorded = tokio::time::timeout(Duration::from_secs(30), async {
        while app
            .client()
            .history("one")
            .await
            .unwrap()
            .operations
            .is_empty()
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    recorded.await.unwrap();
    app.shutdown().await;
    teleport(database).await;

    let app = launch(database).await;
    let ended = app.client().wait("one").await.unwrap();
    assert_eq!(ended.state, State::Stuck);
    let reason = ended.reason.unwrap();
    assert!(
        reason.contains("a record `teleport note` at `0`"),
        "{reason}"
    );
    app.shutdown().await;
}
