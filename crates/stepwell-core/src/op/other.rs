//! What operations have in common that wait for another workflow.

use std::time::Duration;

use tokio::time::Instant;

use super::Here;
use crate::{
    error::ErrorKind,
    id::WorkflowKey,
    run::{Interrupt, Site},
    workflow::Workflow,
};

/// How often a workflow that is not there is looked for at first.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How much longer than a wait in memory the pause is after which it is looked for later: for most of
/// the pause the one that waits is parked.
const LATER: u32 = 10;

/// How many ancestors are looked at before one is taken for no ancestor.
const ANCESTORS_MAX: u32 = 64;

/// Waits until a workflow is there. No store wakes anybody for one that is not, so it is looked for:
/// every second at first, and then so seldom that the one that waits can be parked in between.
pub(super) async fn exists(here: &Here, id: &str, site: &Site) -> Workflow {
    let begun = Instant::now();
    loop {
        {
            let _busy = here.run.busy(site.clone());
            match here.run.engine.client.get(id).await {
                Ok(Some(workflow)) => return workflow,
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::Invalid => {
                    return here.stuck(id, &error.to_string()).await;
                }
                Err(error) => {
                    here.run.database_away("look up a workflow", &error).await;
                    continue;
                }
            }
        }
        let pause = match here.run.engine.config.park_after {
            Some(after) if begun.elapsed() >= after => after.saturating_mul(LATER),
            Some(after) => LOOK_AGAIN.min(after),
            None => LOOK_AGAIN,
        };
        let now = here.run.engine.client.now();
        let at = now.checked_add(pause).unwrap_or(now);
        here.run.wait_until(site.clone(), at).await;
    }
}

/// Whether a workflow is still there. One whose key was found and that is not any more was deleted.
pub(super) async fn is_there(here: &Here, key: WorkflowKey) -> bool {
    loop {
        match here.run.engine.client.0.store.result(key).await {
            Ok(found) => return found.is_some(),
            Err(error) => here.run.database_away("look up a workflow", &error).await,
        }
    }
}

/// What was deleted neither ends nor publishes: somebody has to say what is to become of the one that
/// waits for it.
pub(super) async fn deleted<T>(here: &Here, id: &str) -> T {
    let reason = format!(
        "workflow `{}` waits for `{id}`, which was deleted; cancel it, or fork it from before that was \
         started",
        here.run.id
    );
    here.run.control.stop(Interrupt::Stuck(reason)).await
}

/// Never returns for a workflow that waits for the end of its own, or of one that waits for its end in
/// turn, as parents do for their children: none of them would ever end.
pub(super) async fn refuse_ring(here: &Here, other: &Workflow) {
    let is_child = other.parent.as_ref() == Some(&here.run.id);
    if other.state.has_ended() || (is_child && other.id != here.run.id) {
        return;
    }
    let mut ancestor = Some(here.run.id.clone());
    for _ in 0..ANCESTORS_MAX {
        let Some(id) = ancestor else {
            return;
        };
        if id == other.id {
            let what = format!(
                "it waits for the end of `{id}`, which is this workflow or waits for it as an ancestor; \
                 give the child an id of its own"
            );
            return here.stuck(&other.name, &what).await;
        }
        ancestor = loop {
            match here.run.engine.client.get(id.as_str()).await {
                Ok(found) => break found.and_then(|workflow| workflow.parent),
                Err(error) => here.run.database_away("look up a workflow", &error).await,
            }
        };
    }
}
