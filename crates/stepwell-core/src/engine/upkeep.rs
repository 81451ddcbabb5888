//! What keeps an executor up, beside the workflows: its lease, the look for the dead, and the end of
//! a shutdown.
//!
//! It has a thread with a runtime of its own. A step may block every thread of the application's
//! runtime for longer than a lease: it would lose its workflows to another process, whose threads
//! they block next, and so on for ever.

use std::{panic::AssertUnwindSafe, sync::Arc, thread, time::Duration};

use futures_util::FutureExt;
use tokio::{runtime::Builder, sync::oneshot};
use tracing::error;

use super::{Engine, lease, panic_message, pulse::Pulse, shutdown};
use crate::{
    config::Upkeep,
    error::{Error, ErrorKind},
};

/// The pause before the upkeep goes on, should it panic again and again.
const AFTER_A_PANIC: Duration = Duration::from_millis(100);

/// Begins to keep an executor up, until it is shut down.
pub(super) fn start(engine: &Arc<Engine>) -> Result<(), Error> {
    match engine.config.upkeep {
        Upkeep::Apart => start_apart(engine),
        Upkeep::Beside => {
            let kept = run(Arc::clone(engine));
            drop(engine.keeping.spawn_on(kept, &engine.runtime));
            Ok(())
        }
    }
}

fn start_apart(engine: &Arc<Engine>) -> Result<(), Error> {
    let failed = |error| {
        let what = "could not start the thread that keeps the lease; the system may be out of them";
        Error::new(ErrorKind::Unavailable, what).with_source(error)
    };
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let (ended, has_ended) = oneshot::channel::<()>();
    let (kept, token) = (Arc::clone(engine), engine.keeping.token());
    let body = move || {
        runtime.block_on(run(kept));
        drop((ended, token));
    };
    thread::Builder::new()
        .name("stepwell-upkeep".to_owned())
        .spawn(body)
        .map_err(failed)?;
    // Whoever drops the application's runtime drops all workflows: a lease that were kept beyond
    // that would keep others from them.
    let orphaned = engine.orphaned.clone().drop_guard();
    engine.runtime.spawn(async move {
        // The thread says nothing, it only ends.
        let _ = has_ended.await;
        drop(orphaned);
    });
    Ok(())
}

/// Keeps the executor up until it has let go in order, or its runtime is gone.
async fn run(engine: Arc<Engine>) {
    loop {
        let kept = engine.orphaned.run_until_cancelled(keep_up(&engine));
        match AssertUnwindSafe(kept).catch_unwind().await {
            Ok(_) => return,
            // Without a lease the process would run nothing any more and nobody would know why.
            Err(panic) => {
                let message = panic_message(panic.as_ref());
                error!(message, "the upkeep of the executor panicked; it goes on");
                tokio::time::sleep(AFTER_A_PANIC).await;
            }
        }
    }
}

async fn keep_up(engine: &Arc<Engine>) {
    let mut pulse = Pulse::of(engine);
    tokio::select! {
        biased;
        () = shutdown::let_go(engine) => {}
        // Until there is nothing more to write: what has ended must not be fenced.
        () = lease::keep(engine, &mut pulse) => {}
    }
    shutdown::retire(engine).await;
}
