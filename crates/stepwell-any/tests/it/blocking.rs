//! Steps that block every thread of their process for longer than its lease.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use stepwell::{App, Ctx, State, step, workflow};

use crate::{
    database::Database,
    on_both,
    threads::{Flavor, Threads},
    wait::until,
};

on_both!(steps_that_block_their_threads_run_once);

const LEASE: Duration = Duration::from_secs(1);

#[derive(stepwell::State, Clone, Default)]
struct Shared {
    #[provide]
    begun: Arc<AtomicU32>,
}

#[step]
async fn block(#[state] begun: &Arc<AtomicU32>) -> stepwell::Result<()> {
    begun.fetch_add(1, SeqCst);
    thread::sleep(LEASE * 3);
    Ok(())
}

#[workflow]
async fn blocks(ctx: &mut Ctx<Shared>) -> stepwell::Result<()> {
    ctx.run(block()).await
}

async fn launch(url: String, shared: Shared) -> App<Shared> {
    App::builder("blocking")
        .database(url)
        .state(shared)
        .lease(LEASE)
        .launch()
        .await
        .unwrap()
}

async fn steps_that_block_their_threads_run_once(db: &Database) {
    let (url, shared) = (db.workflows(), Shared::default());
    let mut apps = Vec::new();
    for flavor in [Flavor::CurrentThread, Flavor::OneWorker] {
        let threads = Threads::new(flavor);
        let app = threads.run(launch(url.clone(), shared.clone())).await;
        apps.push((threads, app));
    }
    let client = stepwell::Client::open(&url).await.unwrap();
    let incarnations: Vec<_> = apps.iter().map(|(_, app)| app.executor()).collect();
    let mut ids = Vec::new();
    for (number, (threads, app)) in apps.iter().enumerate() {
        for of_one in 0..2 {
            let (app, id) = (app.clone(), format!("b-{number}-{of_one}"));
            ids.push(id.clone());
            threads
                .run(async move { drop(app.start(blocks().id(id)).await.unwrap()) })
                .await;
        }
    }
    until("every workflow has ended", async || {
        let mut ended = true;
        for id in &ids {
            let workflow = client.get(id).await.unwrap().unwrap();
            ended &= workflow.state == State::Succeeded;
        }
        ended
    })
    .await;
    let begun = shared.begun.load(SeqCst) as usize;
    assert_eq!(begun, ids.len(), "steps ran again");
    let after: Vec<_> = apps.iter().map(|(_, app)| app.executor()).collect();
    assert_eq!(after, incarnations, "a lease was lost");
    for (threads, app) in apps {
        app.shutdown().await;
        drop(app);
        threads.end().await;
    }
}
