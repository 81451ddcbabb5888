//! Starting scheduled workflows: one start for each tick, however many executors there are.
//!
//! A tick's start has an id that is made of the schedule's name and the tick's time, so the second
//! executor finds the workflow of the first. Ticks that nobody was there for are skipped.

use std::sync::Arc;

use croner::Cron;
use jiff::{Timestamp, Zoned, tz::TimeZone};
use tracing::{debug, warn};

use super::Engine;
use crate::{
    error::{Error, ErrorKind},
    id::WorkflowId,
    payload::Payload,
    schedule::Schedule,
    store::{Launch, NewWorkflow},
};

/// A schedule that was checked.
#[derive(Debug)]
pub(crate) struct Ticks {
    cron: Cron,
    zone: TimeZone,
}

impl Ticks {
    /// Checks a schedule.
    pub(crate) fn of(name: &str, schedule: &Schedule) -> Result<Self, Error> {
        let bad = |what: String| {
            Error::new(
                ErrorKind::Setup,
                format!("the schedule of the workflow `{name}`: {what}"),
            )
        };
        let cron = croner::parser::CronParser::builder()
            .seconds(croner::parser::Seconds::Optional)
            .build()
            .parse(schedule.cron)
            .map_err(|error| {
                bad(format!(
                    "`{}` is no cron expression: {error}",
                    schedule.cron
                ))
            })?;
        let zone = match schedule.timezone {
            None => TimeZone::UTC,
            Some(zone) => TimeZone::get(zone).map_err(|error| {
                bad(format!(
                    "`{zone}` is no time zone: {error}; write one like `Europe/Berlin`"
                ))
            })?,
        };
        Ok(Self { cron, zone })
    }

    /// The first tick after an instant; none if the schedule never ticks again.
    pub(crate) fn after(&self, instant: Timestamp) -> Option<Timestamp> {
        let local: Zoned = instant.to_zoned(self.zone.clone());
        let next = self.cron.find_next_occurrence(&local, false).ok()?;
        Some(next.timestamp())
    }
}

/// Runs every schedule of the registered workflows until the executor takes nothing more.
pub(super) async fn run(engine: Arc<Engine>) {
    let schedules = engine
        .registry
        .iter()
        .filter_map(|(name, known)| Some((name, known.schedule?)));
    for (name, schedule) in schedules {
        match Ticks::of(name, &schedule) {
            Ok(ticks) => {
                engine.tasks.spawn(keep(Arc::clone(&engine), name, ticks));
            }
            // Checked at launch; only a time zone database that went away gets here.
            Err(error) => warn!(%error, "not scheduled"),
        }
    }
}

async fn keep(engine: Arc<Engine>, name: &'static str, ticks: Ticks) {
    let mut last = engine.client.now();
    while let Some(tick) = ticks.after(last) {
        tokio::select! {
            biased;
            () = engine.stopping.cancelled() => return,
            () = engine.wait_until(tick) => {}
        }
        if let Err(error) = start(&engine, name, tick).await {
            warn!(workflow = name, %tick, %error, "could not start a tick");
        }
        // After a long pause of the process the ticks in between are skipped, not run in a burst.
        last = tick.max(engine.client.now());
    }
}

async fn start(engine: &Engine, name: &'static str, tick: Timestamp) -> Result<(), Error> {
    let id = format!("{name}@{tick}");
    debug!(workflow = name, %tick, "tick");
    let new = NewWorkflow {
        id: WorkflowId::new(id)?,
        name: name.to_owned(),
        input: Payload::of(&[tick], engine.config.payload_bytes_max)?,
        launch: Launch::Anywhere,
        delay: None,
        deadline: None,
        parent: None,
        attributes: Vec::new(),
        origin: Some("schedule".to_owned()),
    };
    engine.client.start(new).await.map(drop)
}
