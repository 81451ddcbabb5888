//! Ctrl-C: what was started is stopped, what was made is removed.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tokio::signal::unix::{SignalKind, signal};

use crate::driver::Error;

static ASKED: AtomicBool = AtomicBool::new(false);

/// How long the measurement has to clean up after itself.
const GRACE: Duration = Duration::from_secs(10);

/// Returns an error if the program was told to stop.
pub(crate) fn check() -> Result<(), Error> {
    if ASKED.load(Ordering::SeqCst) {
        return Err("told to stop".into());
    }
    Ok(())
}

/// Waits for the signal, tells the measurement, and gives it time.
pub(crate) async fn asked() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    ASKED.store(true, Ordering::SeqCst);
    tokio::time::sleep(GRACE).await;
    Ok(())
}
