//! Schedules, from outside.

use jiff::Timestamp;

use super::{Client, unexpected};
use crate::{
    error::{Error, ErrorKind},
    id::{
        WorkflowId,
        made::{self, Maker},
    },
    limits::{InvalidInput, Text, check_queue},
    payload::Payload,
    schedule::{Missed, Ticks},
    store::{
        Applied, Change, DeclaredBy, NewSchedule, QueueUse, ScheduleChange, ScheduleInfo, Scheduled,
    },
};

/// How many ticks one backfill starts at most.
const BACKFILL_MAX: usize = 10_000;

/// A schedule that a program makes at run time: `ScheduleSpec::new("nightly", "0 3 * * *")`.
#[derive(Debug, Clone)]
#[must_use = "a schedule ticks only when it is defined: `client.define_schedule(…)`"]
pub struct ScheduleSpec {
    name: String,
    spec: String,
    timezone: Option<String>,
    missed: Missed,
    queue: Option<QueueUse>,
}

impl ScheduleSpec {
    /// A schedule by a cron expression or `@every <duration>`, under a name of its own.
    pub fn new(name: impl Into<String>, spec: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            spec: spec.into(),
            timezone: None,
            missed: Missed::default(),
            queue: None,
        }
    }

    /// The time zone that the expression is read in, by its IANA name; UTC without one.
    pub fn timezone(mut self, timezone: impl Into<String>) -> Self {
        self.timezone = Some(timezone.into());
        self
    }

    /// What happens to ticks that passed while no executor was there.
    pub fn missed(mut self, missed: Missed) -> Self {
        self.missed = missed;
        self
    }

    /// Sends its workflows through a queue.
    pub fn queue(mut self, queue: &crate::Queue) -> Self {
        self.queue = Some(queue.as_use());
        self
    }
}

impl Client {
    /// Every schedule, by name.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if the database does not answer.
    pub async fn schedules(&self) -> Result<Vec<ScheduleInfo>, Error> {
        let schedules = self.0.store.schedules().await;
        let mut schedules = schedules.map_err(|error| Error::of_store("list schedules", error))?;
        for schedule in &mut schedules {
            if schedule.trouble.is_none() {
                schedule.trouble = schedule.check().err().map(|error| error.to_string());
            }
        }
        Ok(schedules)
    }

    /// Makes a schedule known, or changes the one of this name. `arguments` is a JSON array: what
    /// the workflow is given after the tick. Defined again as it is, it keeps its next tick.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is no schedule, or its name has more than 190 bytes;
    /// [`ErrorKind::Conflict`] if the code declares one of this name.
    pub async fn define_schedule(
        &self,
        spec: ScheduleSpec,
        workflow: &str,
        arguments: Payload,
    ) -> Result<(), Error> {
        Text::ScheduleName.check(&spec.name)?;
        Text::WorkflowName.check(workflow)?;
        Text::ScheduleExpression.check(&spec.spec)?;
        if let Some(timezone) = &spec.timezone {
            Text::TimeZone.check(timezone)?;
        }
        if let Some(queue) = &spec.queue {
            check_queue(queue)?;
        }
        arguments.read::<Vec<Payload>>().map_err(|_| {
            InvalidInput::new("the arguments of a schedule are a JSON array: `[\"eu\"]`")
        })?;
        let ticks = Ticks::of(&spec.spec, spec.timezone.as_deref())?;
        let next_at = ticks.after(self.now());
        if next_at.is_none() {
            let reason = format!(
                "`{}` never ticks again: all of its years are over",
                spec.spec
            );
            return Err(InvalidInput::new(reason).into());
        }
        let new = NewSchedule {
            name: spec.name,
            workflow: workflow.to_owned(),
            next_at,
            spec: spec.spec,
            timezone: spec.timezone,
            missed: spec.missed,
            arguments,
            queue: spec.queue,
            executor: None,
        };
        self.steer_schedule(ScheduleChange::Define(new)).await
    }

    /// Forgets a schedule. Workflows that it has started go on.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none, [`ErrorKind::Conflict`] if the code declares it.
    pub async fn remove_schedule(&self, name: &str) -> Result<(), Error> {
        let known = self.schedule(name).await?;
        if known.declared_by == DeclaredBy::Code {
            return Err(of_code(name));
        }
        let name = name.to_owned();
        self.steer_schedule(ScheduleChange::Remove { name }).await
    }

    /// Lets a schedule tick no more until it is resumed. Who and why are shown with it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none.
    pub async fn pause_schedule(&self, name: &str, by: &str, why: &str) -> Result<(), Error> {
        Text::ScheduleName.check(name)?;
        Text::Person.check(by)?;
        Text::Reason.check(why)?;
        self.steer_schedule(ScheduleChange::Pause {
            name: name.to_owned(),
            by: by.to_owned(),
            why: why.to_owned(),
        })
        .await
    }

    /// Lets a paused schedule tick again, from its next tick on: those of the pause are gone.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none.
    pub async fn resume_schedule(&self, name: &str) -> Result<(), Error> {
        let known = self.schedule(name).await?;
        let ticks = Ticks::of(&known.spec, known.timezone.as_deref())?;
        let (name, next_at) = (known.name, ticks.after(self.now()));
        self.steer_schedule(ScheduleChange::Resume { name, next_at })
            .await
    }

    /// Starts the workflow of a schedule now, apart from its ticks. Every call starts one.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none.
    pub async fn trigger_schedule(&self, name: &str) -> Result<WorkflowId, Error> {
        let known = self.schedule(name).await?;
        let mut new = known.start_at(self.now())?;
        let one = uuid::Uuid::now_v7().to_string();
        new.id = made::named(name, Maker::Trigger, &[&one]);
        let id = new.id.clone();
        self.start_made(new).await?;
        Ok(id)
    }

    /// Starts the workflows of the ticks from `from` to before `to`, those that were not started. One
    /// that was started when the schedule had other arguments stays as it is. Says which ticks there
    /// are; again it starts nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if the id of a tick belongs to another workflow; the other ticks are
    /// started all the same.
    /// [`ErrorKind::Invalid`] if there are more than 10,000 ticks in between;
    /// [`ErrorKind::NotFound`] if there is no such schedule.
    pub async fn backfill_schedule(
        &self,
        name: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<WorkflowId>, Error> {
        let known = self.schedule(name).await?;
        let ticks = Ticks::of(&known.spec, known.timezone.as_deref())?;
        let first = ticks.until(from).filter(|tick| *tick == from);
        let all = std::iter::successors(first.or_else(|| ticks.after(from)), |tick| {
            ticks.after(*tick)
        });
        let due: Vec<_> = all
            .take_while(|tick| *tick < to)
            .take(BACKFILL_MAX + 1)
            .collect();
        if due.len() > BACKFILL_MAX {
            return Err(InvalidInput::new(format!(
                "`{name}` ticks more than {BACKFILL_MAX} times from {from} to {to}; backfill it in \
                 parts"
            ))
            .into());
        }
        let mut ids = Vec::with_capacity(due.len());
        let mut refused = None;
        for tick in due {
            let new = known.start_at(tick)?;
            let (id, workflow) = (new.id.clone(), new.name.clone());
            match self.start_made(new).await {
                Ok(_) => ids.push(id),
                // It ran when the schedule had other arguments.
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    match self.get(id.as_str()).await? {
                        Some(before) if before.name == workflow => ids.push(id),
                        // Not a tick: the others are none the worse for it.
                        _ => refused = refused.or(Some(error)),
                    }
                }
                Err(error) => return Err(error),
            }
        }
        refused.map_or(Ok(ids), Err)
    }

    /// The next ticks of a schedule after an instant, `count` of them at most.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is no schedule.
    pub fn next_ticks(
        spec: &str,
        timezone: Option<&str>,
        after: Timestamp,
        count: usize,
    ) -> Result<Vec<Timestamp>, Error> {
        let ticks = Ticks::of(spec, timezone)?;
        let first = ticks.after(after);
        let ticks = std::iter::successors(first, |tick| ticks.after(*tick));
        Ok(ticks.take(count).collect())
    }

    async fn schedule(&self, name: &str) -> Result<ScheduleInfo, Error> {
        Text::ScheduleName.check(name)?;
        let mut schedules = self.schedules().await?.into_iter();
        let found = schedules.find(|schedule| schedule.name == name);
        found.ok_or_else(|| no_such_schedule(name))
    }

    async fn steer_schedule(&self, change: ScheduleChange) -> Result<(), Error> {
        let name = change.name().to_owned();
        match self.change_schedule(change).await? {
            Scheduled::Done | Scheduled::Already => Ok(()),
            Scheduled::OfCode => Err(of_code(&name)),
            Scheduled::NoSuchSchedule => Err(no_such_schedule(&name)),
            Scheduled::TooLate | Scheduled::Outdated | Scheduled::OfClient => {
                Err(unexpected("a change of a schedule"))
            }
        }
    }

    pub(crate) async fn change_schedule(&self, change: ScheduleChange) -> Result<Scheduled, Error> {
        let what = format!("change the schedule `{}`", change.name());
        match self.request(&what, Change::Schedule(change)).await? {
            Applied::Schedule(scheduled) => Ok(scheduled),
            _ => Err(unexpected("a change of a schedule")),
        }
    }
}

fn no_such_schedule(name: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("there is no schedule `{name}`"),
    )
}

fn of_code(name: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!(
            "the schedule `{name}` is declared by the attribute of its workflow; change it there, or \
             pause it"
        ),
    )
}
