//! Seeing that the application's threads are blocked, and saying what to do about it.

use std::{sync::Arc, time::Duration};

use tokio::{runtime::Handle, sync::oneshot, time::Instant};
use tracing::warn;

use super::Engine;
use crate::config::Upkeep;

/// How long the runtime may leave a task waiting before somebody is told.
const SLOW: Duration = Duration::from_secs(5);

/// Asks the application's runtime now and then to run a task that does nothing.
#[derive(Debug)]
pub(super) struct Pulse {
    /// None where the upkeep itself is a task there.
    runtime: Option<Handle>,
    asked: Option<Asked>,
}

#[derive(Debug)]
struct Asked {
    at: Instant,
    answer: oneshot::Receiver<()>,
    told: bool,
}

impl Asked {
    fn tell_once(&mut self) {
        let waited = self.at.elapsed();
        if waited > SLOW && !self.told {
            self.told = true;
            warn!(
                ?waited,
                "every thread of the application's runtime is blocked, so its workflows stand \
                 still; put what blocks into `tokio::task::spawn_blocking`"
            );
        }
    }
}

impl Pulse {
    pub(super) fn of(engine: &Arc<Engine>) -> Self {
        Self {
            runtime: match engine.config.upkeep {
                Upkeep::Apart => Some(engine.runtime.clone()),
                Upkeep::Beside => None,
            },
            asked: None,
        }
    }

    /// Looks whether the last task has run, and sends the next one.
    pub(super) fn feel(&mut self) {
        let Some(runtime) = &self.runtime else {
            return;
        };
        if let Some(asked) = &mut self.asked
            && asked.answer.try_recv().is_err()
        {
            return asked.tell_once();
        }
        let (ran, answer) = oneshot::channel();
        runtime.spawn(async move {
            // Whoever asked may be gone.
            let _ = ran.send(());
        });
        self.asked = Some(Asked {
            at: Instant::now(),
            answer,
            told: false,
        });
    }
}
