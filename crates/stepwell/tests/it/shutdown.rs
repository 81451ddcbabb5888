//! What a shutdown leaves, and what it lets end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use stepwell::{App, Ctx, ErrorKind, step, workflow};

#[derive(stepwell::State, Clone, Default)]
struct Shared {
    #[provide]
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    begun: AtomicU32,
    ended: AtomicU32,
}

#[step]
async fn nap(#[state] seen: &Arc<Seen>) -> stepwell::Result<()> {
    seen.begun.fetch_add(1, SeqCst);
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
    seen.ended.fetch_add(1, SeqCst);
    Ok(())
}

#[workflow]
async fn naps(ctx: &mut Ctx<Shared>) -> stepwell::Result<()> {
    for _ in 0..1_000 {
        ctx.run(nap()).await?;
    }
    Ok(())
}

fn app(shared: &Shared) -> stepwell::AppBuilder<Shared> {
    App::builder("shutdown")
        .database("sqlite::memory:")
        .state(shared.clone())
        .grace(Duration::from_secs(60))
}

/// Wherever a workflow is when the shutdown begins: its next step is not begun, or has its time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_step_is_cut_short_that_begins_when_the_shutdown_does() {
    for _ in 0..20 {
        let shared = Shared::default();
        let app = app(&shared).launch().await.unwrap();
        for _ in 0..20 {
            app.start(naps()).await.unwrap();
        }
        while shared.seen.ended.load(SeqCst) < 100 {
            tokio::task::yield_now().await;
        }
        app.shutdown().await;
        let (begun, ended) = (
            shared.seen.begun.load(SeqCst),
            shared.seen.ended.load(SeqCst),
        );
        assert_eq!(begun, ended, "a step was cut short");
    }
}

#[tokio::test]
async fn what_was_shut_down_is_not_launched_again() {
    for launched in [false, true] {
        let app = app(&Shared::default()).build().await.unwrap();
        if launched {
            app.launch().await.unwrap();
        }
        app.shutdown().await;
        let error = app.launch().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("build another one"), "{error}");
        // Once more is no harm.
        app.shutdown().await;
    }
}
