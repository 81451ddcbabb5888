//! Starting scheduled workflows: one start for each tick, however many executors there are.
//!
//! The next tick of a schedule stands in its row. Every executor that knows the workflow waits for it;
//! the first one moves the row on and starts the workflow in one transaction, the others come too
//! late. A tick is known by its instant and is the workflow's id, so a clock that jumps runs none
//! twice.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::future::join_all;
use jiff::Timestamp;
use tracing::{debug, warn};

use super::{Engine, declare::Declarations};
use crate::{
    error::Error,
    limits::InvalidInput,
    schedule::{self, Ticks},
    store::{ScheduleChange, ScheduleInfo, Scheduled, Tick},
};

/// How long to wait after the database did not answer.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// How many schedules tick at once: they share commits.
const TICKS_AT_ONCE: usize = 500;

/// Runs the schedules of the workflows that this executor knows until it takes nothing more.
pub(super) async fn run(engine: Arc<Engine>) {
    let mut declarations = Declarations::new(engine.config.schedules);
    let mut troubles = Troubles::default();
    loop {
        let next = look(&engine, &mut declarations, &mut troubles).await;
        tokio::select! {
            biased;
            () = engine.stopping.cancelled() => return,
            () = engine.client.0.hub.schedules_changed() => {}
            () = wait(&engine, next) => {}
        }
    }
}

/// What comes next.
#[derive(Debug, Clone, Copy)]
enum Next {
    /// A tick.
    Tick(Timestamp),
    /// Nothing that is known.
    Nothing,
    /// Another try: something went wrong.
    Retry,
}

/// Waits for what comes next, but no longer than until it is time to look what other processes did.
/// Not by the store's clock, which may be put back meanwhile.
async fn wait(engine: &Engine, next: Next) {
    let look_again = engine.config.schedules;
    match next {
        Next::Tick(at) => {
            drop(tokio::time::timeout(look_again, engine.wait_until(at)).await);
        }
        Next::Nothing => tokio::time::sleep(look_again).await,
        Next::Retry => tokio::time::sleep(TRY_AGAIN).await,
    }
}

/// Why schedules do not tick, as it was logged last: what stays is not said again.
#[derive(Debug, Default)]
struct Troubles(HashMap<String, String>);

impl Troubles {
    fn note(&mut self, schedule: &str, trouble: Option<&str>) {
        let Some(trouble) = trouble else {
            self.0.remove(schedule);
            return;
        };
        let before = self.0.insert(schedule.to_owned(), trouble.to_owned());
        if before.as_deref() != Some(trouble) {
            warn!(schedule, trouble, "a schedule does not tick");
        }
    }
}

/// Lets tick what is due. One that cannot keeps no other from it.
async fn look(engine: &Engine, declarations: &mut Declarations, troubles: &mut Troubles) -> Next {
    let schedules = match engine.client.schedules().await {
        Ok(schedules) => schedules,
        Err(error) => {
            warn!(%error, "could not read the schedules");
            return Next::Retry;
        }
    };
    let mut next: Option<Timestamp> = None;
    let mut retry = false;
    let ticking: Vec<_> = schedules
        .iter()
        .filter(|it| ticks_here(engine, it))
        .collect();
    for together in ticking.chunks(TICKS_AT_ONCE) {
        let ticks = together.iter().map(|it| tick_if_due(engine, it));
        for (schedule, ticked) in together.iter().zip(join_all(ticks).await) {
            let trouble = ticked.as_ref().err().map(Error::to_string);
            let trouble = trouble.as_ref().or(schedule.trouble.as_ref());
            troubles.note(&schedule.name, trouble.map(String::as_str));
            match ticked {
                Ok(at) => next = [next, at].into_iter().flatten().min(),
                Err(_) => retry = true,
            }
        }
    }
    if let Err(error) = declarations.go_on(engine, &schedules).await {
        warn!(%error, "could not declare the schedules and queues of this code");
    }
    match next {
        _ if retry => Next::Retry,
        Some(at) => Next::Tick(at),
        None => Next::Nothing,
    }
}

/// Whether this executor lets a schedule tick: it is not paused, and its workflow is known here.
fn ticks_here(engine: &Engine, schedule: &ScheduleInfo) -> bool {
    schedule.paused.is_none() && engine.registry.get(&schedule.workflow).is_some()
}

/// Starts what is due of one schedule. Its next tick after that.
async fn tick_if_due(engine: &Engine, schedule: &ScheduleInfo) -> Result<Option<Timestamp>, Error> {
    if schedule.trouble.is_some() {
        return Ok(None);
    }
    let now = engine.client.now();
    let ticks = Ticks::of(&schedule.spec, schedule.timezone.as_deref())?;
    let plan = schedule::plan(&ticks, schedule.missed, schedule.next_at, now);
    if plan.start.is_empty() && plan.next == schedule.next_at {
        return Ok(plan.next);
    }
    let starts = plan.start.iter().map(|tick| schedule.start_at(*tick));
    let tick = Tick {
        name: schedule.name.clone(),
        revision: schedule.revision,
        at: schedule.next_at,
        starts: starts.collect::<Result<_, InvalidInput>>()?,
        last_at: plan.start.last().copied(),
        next_at: plan.next,
    };
    debug!(schedule = schedule.name, at = ?tick.at, starts = tick.starts.len(), "tick");
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
