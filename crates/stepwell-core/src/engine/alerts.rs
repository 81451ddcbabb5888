//! Alerts that do not come with the end of a run: about workflows that became dead when they were
//! claimed, and about failures that repeat themselves.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tracing::{error, warn};

use super::Engine;
use crate::{
    alert::{Alert, COUNTED_MAX},
    client::StartOutcome,
    error::{Error, ErrorKind},
    id::WorkflowKey,
    store::{Filter, NewWorkflow},
    workflow::State,
};

/// How often dead workflows are looked for. They are rare: each has cost a hundred processes their
/// lives, or whatever the bound is.
const LOOK: Duration = Duration::from_secs(10);

/// The shortest time between two counts of what fails.
const COUNT: Duration = Duration::from_millis(200);

/// Sees to alerts until nothing new is to be taken.
pub(super) async fn run(engine: Arc<Engine>) {
    if engine.alerts.is_empty() {
        return;
    }
    // A process may have died between a failure and its count.
    if let Err(error) = count_all(&engine).await {
        warn!(%error, "could not count what has failed");
    }
    let mut seen = HashSet::new();
    loop {
        if let Err(error) = tell_of_the_dead(&engine, &mut seen).await {
            warn!(%error, "could not look for dead workflows");
        }
        let look = tokio::time::sleep(LOOK);
        tokio::pin!(look);
        loop {
            tokio::select! {
                biased;
                () = engine.stopping.cancelled() => return,
                () = engine.alerts.has_failed.notified() => count_failed(&engine).await,
                () = &mut look => break,
            }
        }
    }
}

/// Starts the alerts about dead workflows. `seen` spares the database those that it has answered.
async fn tell_of_the_dead(engine: &Engine, seen: &mut HashSet<WorkflowKey>) -> Result<(), Error> {
    if !engine.alerts.are_about_letters() {
        return Ok(());
    }
    let dead = engine.client.list(Filter {
        states: vec![State::Dead],
        unacknowledged: true,
        limit: COUNTED_MAX,
        ..Filter::default()
    });
    let dead = dead.await?;
    // One that goes on and dies again is seen anew.
    let still: HashSet<_> = dead.iter().map(|it| it.key).collect();
    seen.retain(|key| still.contains(key));
    for letter in dead {
        if seen.contains(&letter.key) {
            continue;
        }
        let bytes_max = engine.config.payload_bytes_max;
        let mut is_told = true;
        for alert in engine.alerts.about_dead(&letter, bytes_max) {
            // One that is refused keeps nobody from hearing of the others.
            if let Err(error) = start(engine, alert).await {
                warn!(workflow = %letter.id, %error, "could not start an alert");
                is_told &= error.kind() != ErrorKind::Unavailable;
            }
        }
        if is_told {
            seen.insert(letter.key);
        }
    }
    Ok(())
}

async fn count_all(engine: &Engine) -> Result<(), Error> {
    if engine.alerts.on_repeated.is_empty() {
        return Ok(());
    }
    for group in engine.client.dead_letters().await? {
        let Some(fingerprint) = group.fingerprint else {
            continue;
        };
        if let Err(error) = count(engine, &group.name, &fingerprint).await {
            warn!(%error, name = group.name, "could not count what has failed");
        }
    }
    Ok(())
}

async fn count_failed(engine: &Engine) {
    for (name, fingerprint) in engine.alerts.take_failed() {
        if let Err(error) = count(engine, &name, &fingerprint).await {
            warn!(%error, name, "could not count what has failed");
            // The next failure, or the next process, counts it.
        }
    }
    // What fails in a storm is counted together.
    drop(tokio::time::timeout(COUNT, engine.stopping.cancelled()).await);
}

async fn count(engine: &Engine, name: &str, fingerprint: &str) -> Result<(), Error> {
    let failed = engine.client.list(Filter {
        states: vec![State::Failed],
        name: Some(name.to_owned()),
        fingerprint: Some(fingerprint.to_owned()),
        unacknowledged: true,
        limit: COUNTED_MAX,
        ..Filter::default()
    });
    let (failed, now) = (failed.await?, engine.client.now());
    let bytes_max = engine.config.payload_bytes_max;
    let mut refused = Ok(());
    for repeated in &engine.alerts.on_repeated {
        let alert = repeated.about((name, fingerprint), &failed, now, bytes_max);
        if let Some(alert) = alert {
            refused = refused.and(start(engine, alert).await);
        }
    }
    refused
}

/// Starts an alert, unless it is there.
async fn start(engine: &Engine, Alert { new, matter }: Alert) -> Result<(), Error> {
    let given = new.id.clone();
    let conflict = match engine.client.start_made(new.clone()).await {
        Err(error) if error.kind() == ErrorKind::Conflict => error,
        started => return started.map(|_| ()),
    };
    if given == matter {
        // It is there, and told another number.
        return Ok(());
    }
    // The id that the user gave belongs to something else, or to an alert about another matter.
    let instead = NewWorkflow {
        id: matter.clone(),
        ..new
    };
    match engine.client.start_made(instead).await {
        Ok(StartOutcome::New) => {
            error!(%given, started_as = %matter, %conflict, "an alert was started under another id");
            Ok(())
        }
        Err(error) if error.kind() != ErrorKind::Conflict => Err(error),
        _ => Ok(()),
    }
}
