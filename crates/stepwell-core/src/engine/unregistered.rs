//! Workflows that wait and that no executor registers: said at launch, so that none waits in silence.

use std::sync::Arc;

use tracing::warn;

use super::Engine;
use crate::{
    store::{NameWaiting, StoreError},
    why::unregistered,
};

/// The bound of names that are logged.
const SAID_MAX: usize = 10;

/// Looks once. It holds up nothing, and a look that fails is not repeated.
pub(super) async fn tell(engine: Arc<Engine>) {
    let missing = match engine.stopping.run_until_cancelled(missing(&engine)).await {
        None => return,
        Some(Ok(missing)) => missing,
        Some(Err(error)) => {
            warn!(%error, "could not look for workflows that no executor registers");
            return;
        }
    };
    for it in missing.iter().take(SAID_MAX) {
        warn!(
            name = it.name,
            waiting = it.count,
            "workflows wait whose name no live executor registers; they wait until one that does is \
             launched"
        );
    }
    if let Some(more) = missing.len().checked_sub(SAID_MAX).filter(|more| *more > 0) {
        warn!(
            more,
            "workflows of more names wait that no live executor registers"
        );
    }
}

async fn missing(engine: &Engine) -> Result<Vec<NameWaiting>, StoreError> {
    let store = &engine.client.0.store;
    let waiting = store.names_waiting().await?;
    if waiting.is_empty() {
        return Ok(waiting);
    }
    let executors = store.executors().await?;
    Ok(unregistered(waiting, &executors, engine.client.now()))
}
