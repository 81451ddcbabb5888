//! Starting scheduled workflows: one start for each tick, however many executors there are.
//!
//! The next tick of a schedule stands in its row. Every executor that knows the workflow waits for it;
//! the first one moves the row on and starts the workflow in one transaction, the others come too
//! late. A tick is known by its instant and is the workflow's id, so a clock that jumps runs none
//! twice.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tracing::{debug, warn};

use super::Engine;
use crate::{
    error::Error,
    limits::InvalidInput,
    payload::Payload,
    schedule::{self, Ticks},
    store::{DeclaredBy, NewSchedule, ScheduleChange, ScheduleInfo, Scheduled, Tick},
};

/// How long to wait after the database did not answer.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Runs the schedules of the workflows that this executor knows until it takes nothing more.
pub(super) async fn run(engine: Arc<Engine>) {
    loop {
        let wait = match look(&engine).await {
            Ok(next) => until(&engine, next),
            Err(error) => {
                warn!(%error, "could not see to the schedules");
                Wait::For(TRY_AGAIN)
            }
        };
        tokio::select! {
            biased;
            () = engine.stopping.cancelled() => return,
            () = engine.client.0.hub.schedules_changed() => {}
            () = wait.over(&engine) => {}
        }
    }
}

/// What to wait for before the next look.
enum Wait {
    Until(Timestamp),
    For(Duration),
}

impl Wait {
    async fn over(self, engine: &Engine) {
        match self {
            Self::Until(at) => engine.wait_until(at).await,
            Self::For(duration) => tokio::time::sleep(duration).await,
        }
    }
}

/// Until the next tick, but no longer than until it is time to look what other processes did.
fn until(engine: &Engine, next: Option<Timestamp>) -> Wait {
    let look_again = engine.client.now().saturating_add(engine.config.schedules);
    match (next, look_again) {
        (Some(next), Ok(look)) => Wait::Until(next.min(look)),
        (Some(next), Err(_)) => Wait::Until(next),
        (None, _) => Wait::For(engine.config.schedules),
    }
}

/// Makes known what the code declares, and forgets what it declared once.
pub(super) async fn declare(engine: &Engine) -> Result<(), Error> {
    let client = &engine.client;
    for known in client.schedules().await? {
        let gone = known.declared_by == DeclaredBy::Code
            && engine
                .registry
                .get(&known.workflow)
                .is_some_and(|workflow| workflow.schedule.is_none());
        if gone {
            let name = known.name;
            client
                .change_schedule(ScheduleChange::Remove { name })
                .await?;
        }
    }
    for (name, known) in engine.registry.iter() {
        let Some(schedule) = &known.schedule else {
            continue;
        };
        let ticks = Ticks::of(schedule.spec, schedule.timezone)?;
        let new = NewSchedule {
            name: name.to_owned(),
            workflow: name.to_owned(),
            spec: schedule.spec.to_owned(),
            timezone: schedule.timezone.map(str::to_owned),
            missed: schedule.missed,
            arguments: Payload::of::<[(); 0]>(&[], usize::MAX)?,
            queue: None,
            declared_by: DeclaredBy::Code,
            next_at: ticks.after(client.now()),
        };
        client.change_schedule(ScheduleChange::Define(new)).await?;
    }
    Ok(())
}

/// Lets tick what is due. The next instant at which something is.
async fn look(engine: &Engine) -> Result<Option<Timestamp>, Error> {
    let mut next: Option<Timestamp> = None;
    for schedule in engine.client.schedules().await? {
        if schedule.paused.is_some() || engine.registry.get(&schedule.workflow).is_none() {
            continue;
        }
        let Some(at) = tick_if_due(engine, &schedule).await? else {
            continue;
        };
        next = Some(next.map_or(at, |next| next.min(at)));
    }
    Ok(next)
}

/// Starts what is due of one schedule. Its next tick after that.
async fn tick_if_due(engine: &Engine, schedule: &ScheduleInfo) -> Result<Option<Timestamp>, Error> {
    let Some(at) = schedule.next_at else {
        return Ok(None);
    };
    let now = engine.client.now();
    if at > now {
        return Ok(Some(at));
    }
    let ticks = Ticks::of(&schedule.spec, schedule.timezone.as_deref())?;
    let plan = schedule::plan(&ticks, schedule.missed, at, now);
    let starts = plan.start.iter().map(|tick| schedule.start_at(*tick));
    let tick = Tick {
        name: schedule.name.clone(),
        at,
        starts: starts.collect::<Result<_, InvalidInput>>()?,
        last_at: plan.start.last().copied(),
        next_at: plan.next,
    };
    debug!(schedule = schedule.name, %at, starts = tick.starts.len(), "tick");
    match engine
        .client
        .change_schedule(ScheduleChange::Tick(tick))
        .await?
    {
        Scheduled::Done => Ok(plan.next),
        // Somebody else was first: what is next stands in the row. It is read at once.
        _ => {
            engine.client.0.hub.schedules_change();
            Ok(None)
        }
    }
}
