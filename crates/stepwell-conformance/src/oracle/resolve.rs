//! From a draft to a change: with keys, instants and names that the model knows at that moment.

use std::time::Duration;

use serde_json::json;
use stepwell_core::{
    End, ExecutorId, Missed, Outcome, Place, Position, RecordKind, WorkflowKey,
    store::{
        Acknowledge, Cancel, CancelCause, Change, Declaring, Delete, Effect, Finish, Fork, Launch,
        NewRecord, NewSchedule, NewWorkflow, Owner, Park, Progress, QueueChange, QueueUse,
        ScheduleChange, Tick, Wait,
    },
};

use super::{
    model::Model,
    plans::{limits, message, start},
    steps::{Deed, Draft, Plan, QUEUES},
};
use crate::fixture::{id, payload};

/// A key and a message that no store has.
const NOWHERE: WorkflowKey = WorkflowKey(1_000_000_000);
const NO_MESSAGE: i64 = 1_000_000_000;

pub(super) const NAMES: [&str; 2] = ["bill", "charge"];
pub(super) const TOPICS: [&str; 2] = ["", "news"];
pub(super) const EVENTS: [&str; 2] = ["state", "total"];
pub(super) const STREAMS: [&str; 2] = ["lines", "log"];
const VERSIONS: [&str; 3] = ["v1", "v2", "v3"];
const HALF_MINUTE: Duration = Duration::from_secs(30);

pub(super) fn half_minutes(number: u8) -> Duration {
    HALF_MINUTE * u32::from(number)
}

pub(super) fn version(number: u8) -> String {
    VERSIONS[usize::from(number) % VERSIONS.len()].to_owned()
}

pub(super) fn workflow_id(number: u8) -> stepwell_core::WorkflowId {
    id(&format!("w{number}"))
}

pub(super) fn queue_name(number: u8) -> String {
    format!("q{}", number % QUEUES)
}

fn schedule_name(number: u8) -> String {
    format!("nightly-{number}")
}

pub(super) fn value(number: u8) -> stepwell_core::Payload {
    payload(json!(number))
}

/// What a draft is resolved against.
pub(super) struct Resolve<'a> {
    pub(super) model: &'a Model,
    /// Who commits, and the version of its code.
    pub(super) by: Option<(&'a ExecutorId, &'a str)>,
}

impl Resolve<'_> {
    pub(super) fn change(&self, draft: &Draft) -> Change {
        match draft {
            Draft::Start(plan) => Change::Start(start(plan)),
            Draft::Progress {
                on,
                places,
                effects,
            } => Change::Progress(self.progress(self.pick(*on), places, effects)),
            Draft::Finish {
                on,
                how,
                value,
                alert,
            } => {
                let alerts = alert.iter().map(alert_of).collect();
                let finish = self.finish(*on, *how, *value);
                Change::Finish(Finish { alerts, ..finish })
            }
            Draft::Park { on, until, waits } => Change::Park(self.park(*on, *until, waits)),
            Draft::Send(letter) => Change::Send(message(letter)),
            Draft::Cancel { id, cause } => Change::Cancel(Cancel {
                id: workflow_id(*id),
                cause: match cause {
                    0 => CancelCause::Deadline,
                    1 => CancelCause::LostRace,
                    _ => CancelCause::Request,
                },
            }),
            Draft::Resume { id } => Change::Resume(workflow_id(*id)),
            Draft::Fork { source, id, from } => Change::Fork(Fork::new(
                workflow_id(*source),
                workflow_id(*id),
                Position::top(u32::from(*from)),
            )),
            Draft::Acknowledge { id } => Change::Acknowledge(Acknowledge {
                id: workflow_id(*id),
                note: "seen".to_owned(),
            }),
            Draft::Delete { id } => Change::Delete(Delete {
                id: workflow_id(*id),
                key: None,
            }),
            Draft::Limit { .. } | Draft::PauseQueue { .. } | Draft::ResumeQueue { .. } => {
                Change::Queue(steer(draft))
            }
            Draft::Declare { queue, limits: to } => Change::Queue(match self.by {
                Some((executor, _)) => QueueChange::Declare {
                    name: queue_name(*queue),
                    limits: limits(*to),
                    executor: executor.clone(),
                    declaring: Declaring::Anew,
                },
                None => QueueChange::Unlimit {
                    name: queue_name(*queue),
                },
            }),
            _ => Change::Schedule(self.schedule(draft)),
        }
    }

    /// Mostly what the executor owns, sometimes any workflow.
    fn pick(&self, on: u8) -> WorkflowKey {
        let mut keys = Vec::new();
        if let Some((executor, _)) = self.by.filter(|_| on >= 40) {
            keys = self.model.owned(executor);
        }
        if keys.is_empty() {
            keys.extend(self.model.rows().map(|row| row.workflow.key));
        }
        match keys.len() {
            0 => NOWHERE,
            many => keys[usize::from(on) % many],
        }
    }

    fn progress(&self, key: WorkflowKey, places: &[u8], effects: &[Deed]) -> Progress {
        let mut places = places.to_vec();
        places.dedup();
        let record = |number: &u8| NewRecord {
            place: place(*number),
            kind: RecordKind::Step,
            name: format!("step-{number}"),
            outcome: match number % 3 {
                0 => Outcome::Err(value(*number)),
                _ => Outcome::Ok(value(*number)),
            },
            attempts: u32::from(*number) + 1,
            elapsed: Duration::from_secs(u64::from(*number)),
        };
        Progress {
            key,
            records: places.iter().map(record).collect(),
            effects: effects.iter().map(|deed| self.effect(key, deed)).collect(),
        }
    }

    fn effect(&self, key: WorkflowKey, deed: &Deed) -> Effect {
        let of = |names: [&str; 2], number: u8| names[usize::from(number) % 2].to_owned();
        match deed {
            Deed::SetEvent { name, value: new } => Effect::SetEvent {
                name: of(EVENTS, *name),
                value: value(*new),
            },
            Deed::Append { stream, value: new } => Effect::Append {
                stream: of(STREAMS, *stream),
                value: value(*new),
            },
            Deed::SetAttribute { name, value } => Effect::SetAttribute {
                name: format!("a{name}"),
                value: value.to_string(),
            },
            Deed::Send(letter) => Effect::Send(message(letter)),
            Deed::Receive { topic, number } => {
                let row = self.model.row(key);
                let inbox = row
                    .map(|row| row.inbox(&of(TOPICS, *topic)))
                    .unwrap_or_default();
                let letter = inbox.get(usize::from(*number));
                let message = letter
                    .and_then(|letter| letter.number)
                    .unwrap_or(NO_MESSAGE);
                Effect::Receive { message }
            }
            Deed::Cancel { id } => Effect::Cancel(Cancel {
                id: workflow_id(*id),
                cause: CancelCause::LostRace,
            }),
            Deed::Start(plan) => Effect::Start(NewWorkflow {
                parent: Some(Owner {
                    key,
                    detached: plan.detached,
                }),
                unique: None,
                message: None,
                ..start(plan)
            }),
        }
    }

    fn finish(&self, on: u8, how: u8, number: u8) -> Finish {
        let version = self.by.map_or("v1", |(_, version)| version);
        Finish {
            key: self.pick(on),
            end: match how {
                0 => End::Succeeded(value(number)),
                1 => End::Failed {
                    error: value(number),
                    fingerprint: "OutOfStock".to_owned(),
                    reason: format!("no stock {number}"),
                },
                2 => End::Declined {
                    error: value(number),
                    fingerprint: "Refused".to_owned(),
                    reason: format!("refused {number}"),
                },
                _ => End::Stuck {
                    reason: format!("no {number} here"),
                },
            },
            version: version.to_owned(),
            alerts: Vec::new(),
        }
    }

    /// Nobody waits for what is not there.
    fn park(&self, on: u8, until: Option<u8>, waits: &[(u8, u8, u8)]) -> Park {
        let rows: Vec<_> = self.model.rows().collect();
        let other = |of: u8| rows.get(usize::from(of) % rows.len().max(1));
        let name = |names: [&str; 2], number: u8| names[usize::from(number) % 2].to_owned();
        let wait = |(kind, of, number): &(u8, u8, u8)| match kind {
            0 => Some(Wait::Message {
                topic: name(TOPICS, *number),
            }),
            1 => other(*of).map(|row| Wait::Event {
                of: row.workflow.key,
                name: name(EVENTS, *number),
            }),
            _ => other(*of).map(|row| Wait::End {
                of: row.workflow.key,
            }),
        };
        Park {
            key: self.pick(on),
            until: until.map(|until| self.model.now + half_minutes(until)),
            waits: waits.iter().filter_map(wait).collect(),
            reason: "waits for a while".to_owned(),
        }
    }

    fn schedule(&self, draft: &Draft) -> ScheduleChange {
        let next_at = |next: &Option<u8>| next.map(|next| self.model.now + half_minutes(next));
        match draft {
            Draft::Define {
                schedule,
                spec,
                queue,
                by_code,
                next,
            } => ScheduleChange::Define(NewSchedule {
                name: schedule_name(*schedule),
                workflow: NAMES[0].to_owned(),
                spec: format!("{spec} 3 * * *"),
                timezone: (*spec == 1).then(|| "Europe/Berlin".to_owned()),
                missed: Missed::Latest,
                arguments: payload(json!([spec])),
                queue: queue.map(|queue| QueueUse::new(queue_name(queue))),
                executor: (self.by)
                    .filter(|_| *by_code)
                    .map(|(executor, _)| executor.clone()),
                next_at: next_at(next),
            }),
            Draft::PauseSchedule { schedule, by } => ScheduleChange::Pause {
                name: schedule_name(*schedule),
                by: format!("by-{by}"),
                why: String::new(),
            },
            Draft::ResumeSchedule { schedule, next } => ScheduleChange::Resume {
                name: schedule_name(*schedule),
                next_at: next_at(next),
            },
            Draft::Tick {
                schedule,
                in_time,
                starts,
                next,
            } => self.tick(*schedule, *in_time, starts, next_at(next)),
            Draft::RemoveSchedule { schedule } => ScheduleChange::Remove {
                name: schedule_name(*schedule),
            },
            Draft::Withdraw { schedule } => match self.by {
                Some((executor, _)) => ScheduleChange::Withdraw {
                    name: schedule_name(*schedule),
                    executor: executor.clone(),
                },
                None => ScheduleChange::Remove {
                    name: schedule_name(*schedule),
                },
            },
            other => unreachable!("{other:?} is not of a schedule"),
        }
    }

    fn tick(
        &self,
        schedule: u8,
        in_time: bool,
        starts: &[Plan],
        next_at: Option<jiff::Timestamp>,
    ) -> ScheduleChange {
        let name = schedule_name(schedule);
        let known = self.model.schedules.get(&name).map(|known| &known.info);
        let read = known.and_then(|known| known.next_at).filter(|_| in_time);
        let at = read.unwrap_or(self.model.now + Duration::from_secs(1));
        let plain = |plan| NewWorkflow {
            unique: None,
            message: None,
            ..start(plan)
        };
        ScheduleChange::Tick(Tick {
            name,
            revision: known.map_or(0, |known| known.revision),
            at: Some(at),
            starts: starts.iter().map(plain).collect(),
            last_at: (!starts.is_empty()).then_some(at),
            next_at,
        })
    }
}

fn steer(draft: &Draft) -> QueueChange {
    match draft {
        Draft::Limit { queue, limits: to } => QueueChange::Limit {
            name: queue_name(*queue),
            limits: limits(*to),
        },
        Draft::PauseQueue { queue, by } => QueueChange::Pause {
            name: queue_name(*queue),
            by: format!("by-{by}"),
            why: "a test".to_owned(),
        },
        Draft::ResumeQueue { queue } => QueueChange::Resume {
            name: queue_name(*queue),
        },
        other => unreachable!("{other:?} is not of a queue"),
    }
}

/// Some lie below others, so that a fork cuts inside.
fn place(number: u8) -> Place {
    let top = |number: u8| Position::top(u32::from(number));
    match number {
        5 => Place::At(top(1).child(0)),
        6 => Place::Attempt(top(2), 1),
        _ => Place::At(top(number)),
    }
}

/// An alert is for whichever executor has room, as `maker` in core sees to.
fn alert_of(plan: &Plan) -> NewWorkflow {
    let new = start(plan);
    NewWorkflow {
        launch: match new.launch {
            Launch::Here => Launch::Anywhere,
            elsewhere => elsewhere,
        },
        message: None,
        ..new
    }
}
