//! Asking those that wait for long to leave memory.

use std::{sync::Arc, time::Duration};

use super::Engine;
use crate::run::Run;

/// How many are asked at once: they go to disk together, and what others write waits behind them.
const ASKED_AT_ONCE: usize = 500;

/// The pause between two such lots.
const PAUSE: Duration = Duration::from_millis(20);

/// The shortest and the longest time between two looks.
const LOOK: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(15));

/// Looks for runs that only wait, until nothing new is to be taken. One timer for all of them: one
/// for each would cost more memory than it saves.
pub(super) async fn run(engine: Arc<Engine>) {
    let Some(after) = engine.config.park_after else {
        return;
    };
    let look = (after / 4).clamp(LOOK.0, LOOK.1);
    loop {
        tokio::select! {
            biased;
            () = engine.stopping.cancelled() => return,
            () = tokio::time::sleep(look) => {}
        }
        let idle: Vec<Arc<Run>> = {
            let runs = engine.runs();
            let idle = runs.values().filter(|run| run.is_idle());
            idle.map(Arc::clone).collect()
        };
        for lot in idle.chunks(ASKED_AT_ONCE) {
            lot.iter().for_each(|run| run.control.ask_to_park());
            tokio::time::sleep(PAUSE).await;
        }
    }
}
