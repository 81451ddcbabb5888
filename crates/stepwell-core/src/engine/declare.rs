//! What the code of an executor declares: schedules, and limits of queues.
//!
//! Executors of several releases live side by side during a deploy, and none of them is the last to
//! launch for long. So whoever declares goes on declaring: what another process has changed or
//! forgotten is told again, and the store decides by the order of the releases.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;
use tracing::{info, warn};

use super::Engine;
use crate::{
    error::Error,
    id::ExecutorId,
    limits::InvalidInput,
    payload::Payload,
    registry::Registry,
    schedule::{Schedule, Ticks},
    store::{
        Applied, Change, DeclaredBy, Declaring, NewSchedule, QueueChange, QueueChanged,
        QueueLimits, ScheduleChange, ScheduleInfo, Scheduled,
    },
};

/// The schedules that the code declares, by name.
pub(super) fn schedules(registry: &Registry) -> Vec<String> {
    let declared = registry
        .iter()
        .filter(|(_, known)| known.schedule.is_some());
    declared.map(|(name, _)| name.to_owned()).collect()
}

/// What was told, and what came of it: nothing is told again at once, nor logged twice.
#[derive(Debug)]
pub(super) struct Declarations {
    pause: Duration,
    next: Option<Instant>,
    schedules: HashMap<String, Scheduled>,
    queues: HashMap<String, QueueChanged>,
}

impl Declarations {
    /// Of an executor that has just declared all there is.
    pub(super) fn new(pause: Duration) -> Self {
        Self {
            pause,
            next: Instant::now().checked_add(pause),
            schedules: HashMap::new(),
            queues: HashMap::new(),
        }
    }

    /// Declares again what is not as the code says it, from time to time.
    pub(super) async fn go_on(
        &mut self,
        engine: &Engine,
        known: &[ScheduleInfo],
    ) -> Result<(), Error> {
        if self.next.is_none_or(|next| Instant::now() < next) {
            return Ok(());
        }
        self.next = Instant::now().checked_add(self.pause);
        let Some(me) = engine.client.0.journal.executor() else {
            return Ok(());
        };
        let mut refused = Ok(());
        for change in schedule_changes(engine, &me, known) {
            // One that is refused keeps no other from being told.
            match self.schedule(engine, change).await {
                Ok(()) => {}
                Err(error) => refused = refused.and(Err(error)),
            }
        }
        refused.and(self.queues(engine, &me).await)
    }

    async fn schedule(
        &mut self,
        engine: &Engine,
        change: Result<ScheduleChange, Error>,
    ) -> Result<(), Error> {
        let change = change?;
        let name = change.name().to_owned();
        let outcome = engine.client.change_schedule(change).await?;
        if self.schedules.insert(name.clone(), outcome) != Some(outcome) {
            tell_schedule(&name, outcome);
        }
        Ok(())
    }

    async fn queues(&mut self, engine: &Engine, me: &ExecutorId) -> Result<(), Error> {
        let declared = engine.client.declared_queues();
        if declared.is_empty() {
            return Ok(());
        }
        let store = &engine.client.0.store;
        let limits = store.limits().await;
        let limits = limits.map_err(|error| Error::of_store("read the limits of queues", error))?;
        for (name, wanted) in declared {
            let known = limits.iter().find(|known| known.name == name);
            let outcome = match known {
                Some(known) if known.limits == wanted => QueueChanged::Already,
                Some(known) if known.by_hand => QueueChanged::SetByHand,
                _ => declare_queue(engine, me, (&name, wanted), Declaring::Again).await?,
            };
            if self.queues.insert(name.clone(), outcome) != Some(outcome) {
                tell_queue(&name, outcome);
            }
        }
        Ok(())
    }
}

/// Makes known what the code declares, and withdraws what no code declares any more: of an executor
/// that launches.
pub(super) async fn all(engine: &Engine) -> Result<(), Error> {
    let Some(me) = engine.client.0.journal.executor() else {
        return Ok(());
    };
    // As if none were known: a release is noted also for what it declares as it stands.
    let known = engine.client.schedules().await?;
    let withdrawn = withdrawals(engine, &me, &known).map(Ok);
    for change in definitions(engine, &me).chain(withdrawn) {
        let change = change?;
        let name = change.name().to_owned();
        tell_schedule(&name, engine.client.change_schedule(change).await?);
    }
    for (name, limits) in engine.client.declared_queues() {
        let declared = declare_queue(engine, &me, (&name, limits), Declaring::Anew);
        tell_queue(&name, declared.await?);
    }
    Ok(())
}

/// What is to be told because it does not stand as the code says it.
fn schedule_changes(
    engine: &Engine,
    me: &ExecutorId,
    known: &[ScheduleInfo],
) -> Vec<Result<ScheduleChange, Error>> {
    let stands = |change: &Result<ScheduleChange, Error>| match change {
        Ok(ScheduleChange::Define(new)) => known.iter().any(|known| is_as_declared(known, new)),
        _ => false,
    };
    let again = |change| match change {
        Ok(ScheduleChange::Define(new)) => Ok(ScheduleChange::Redeclare(new)),
        other => other,
    };
    let missing = definitions(engine, me)
        .filter(|change| !stands(change))
        .map(again);
    missing
        .chain(withdrawals(engine, me, known).map(Ok))
        .collect()
}

fn is_as_declared(known: &ScheduleInfo, new: &NewSchedule) -> bool {
    known.name == new.name
        && known.workflow == new.workflow
        && known.spec == new.spec
        && known.timezone == new.timezone
        && known.missed == new.missed
        && known.declared_by == DeclaredBy::Code
}

/// What the code declares, with the first tick from now on.
fn definitions<'e>(
    engine: &'e Engine,
    me: &'e ExecutorId,
) -> impl Iterator<Item = Result<ScheduleChange, Error>> + 'e {
    let declared = engine.registry.iter();
    let declared = declared.filter_map(|(name, known)| Some((name, known.schedule?)));
    declared.map(|(name, schedule)| Ok(ScheduleChange::Define(new(engine, me, name, schedule)?)))
}

fn new(
    engine: &Engine,
    me: &ExecutorId,
    name: &str,
    schedule: Schedule,
) -> Result<NewSchedule, InvalidInput> {
    let ticks = Ticks::of(schedule.spec, schedule.timezone)?;
    Ok(NewSchedule {
        name: name.to_owned(),
        workflow: name.to_owned(),
        spec: schedule.spec.to_owned(),
        timezone: schedule.timezone.map(str::to_owned),
        missed: schedule.missed,
        arguments: Payload::of::<[(); 0]>(&[], usize::MAX)?,
        queue: None,
        executor: Some(me.clone()),
        next_at: ticks.after(engine.client.now()),
    })
}

/// What the code declared once, of workflows that it still knows.
fn withdrawals<'e>(
    engine: &'e Engine,
    me: &'e ExecutorId,
    known: &'e [ScheduleInfo],
) -> impl Iterator<Item = ScheduleChange> + 'e {
    let of_code = known
        .iter()
        .filter(|known| known.declared_by == DeclaredBy::Code);
    let gone = of_code.filter(|known| {
        let workflow = engine.registry.get(&known.workflow);
        workflow.is_some_and(|workflow| workflow.schedule.is_none())
    });
    gone.map(|known| ScheduleChange::Withdraw {
        name: known.name.clone(),
        executor: me.clone(),
    })
}

fn tell_schedule(schedule: &str, outcome: Scheduled) {
    match outcome {
        Scheduled::Outdated => info!(
            schedule,
            "another release of the code, newer or still running, says what this schedule is"
        ),
        Scheduled::OfClient => warn!(
            schedule,
            "the schedule that the code declares does not tick: a client has defined one of this \
             name; remove that with `stepwell schedule` or the client, or rename the workflow"
        ),
        _ => {}
    }
}

/// Hands in the limits that the code declares for a queue.
pub(crate) async fn declare_queue(
    engine: &Engine,
    me: &ExecutorId,
    (name, limits): (&str, QueueLimits),
    declaring: Declaring,
) -> Result<QueueChanged, Error> {
    let change = Change::Queue(QueueChange::Declare {
        name: name.to_owned(),
        limits,
        executor: me.clone(),
        declaring,
    });
    let what = format!("declare the queue `{name}`");
    match engine.client.request(&what, change).await? {
        Applied::Queue(changed) => Ok(changed),
        _ => Err(crate::client::unexpected("a declaration of a queue")),
    }
}

pub(crate) fn tell_queue(queue: &str, outcome: QueueChanged) {
    match outcome {
        QueueChanged::SetByHand => warn!(
            queue,
            "the limits that the code declares do not hold: others were set by hand; \
             `stepwell queue unset` gives the queue back to the code"
        ),
        QueueChanged::Outdated => warn!(
            queue,
            "the limits that the code declares do not hold: a newer release declares others"
        ),
        _ => {}
    }
}
