//! Hot changes as arrays: a column each.

use stepwell_core::{
    End, ExecutorId, Outcome, State,
    store::{Change, Finish, Launch, NewWorkflow, PRIORITY_STEP, Progress, Room},
};
use tokio_postgres::Row;

use super::{
    Door,
    sql::{RECORD, RUNS, RUNS_AND_STARTS, STARTS},
};
use crate::{
    connection::Connection,
    error::Failure,
    params::{Param, param, params},
    queues::columns,
    rows::{micros, sentence},
};

/// The changes of one statement.
#[derive(Default)]
pub(super) struct Arrays<'c> {
    records: Records<'c>,
    ends: Ends<'c>,
    starts: Starts<'c>,
}

#[derive(Default)]
struct Records<'c> {
    keys: Vec<i64>,
    places: Vec<String>,
    kinds: Vec<&'static str>,
    names: Vec<&'c str>,
    failed: Vec<bool>,
    payloads: Vec<&'c str>,
    attempts: Vec<i64>,
    elapsed_us: Vec<i64>,
    /// The same number for records that go in together; none for one that comes alone.
    parts: Vec<Option<i32>>,
    parts_count: i32,
}

#[derive(Default)]
struct Ends<'c> {
    keys: Vec<i64>,
    states: Vec<&'static str>,
    fingerprints: Vec<Option<String>>,
    payloads: Vec<&'c str>,
    reasons: Vec<Option<String>>,
}

#[derive(Default)]
struct Starts<'c> {
    ids: Vec<&'c str>,
    nonces: Vec<String>,
    names: Vec<&'c str>,
    states: Vec<&'static str>,
    queue_names: Vec<&'c str>,
    queue_keys: Vec<&'c str>,
    /// What priorities are worth.
    advances_us: Vec<i64>,
    /// Whether a bound of its queue does not matter.
    let_in: Vec<bool>,
    parent_keys: Vec<Option<i64>>,
    detached: Vec<bool>,
    origins: Vec<Option<&'c str>>,
    deadlines_us: Vec<Option<i64>>,
    delays_us: Vec<Option<i64>>,
    payloads: Vec<&'c str>,
    attributes: Attributes<'c>,
    queues: Queues<'c>,
}

#[derive(Default)]
struct Attributes<'c> {
    ids: Vec<&'c str>,
    names: Vec<&'c str>,
    values: Vec<&'c str>,
}

#[derive(Default)]
struct Queues<'c> {
    ids: Vec<&'c str>,
    names: Vec<&'c str>,
    limits: [Vec<Option<i64>>; 6],
}

impl<'c> Arrays<'c> {
    pub(super) fn is_empty(&self) -> bool {
        self.records.keys.is_empty() && self.ends.keys.is_empty() && self.starts.ids.is_empty()
    }

    /// Adds a hot change, through a door. `has_executor`: whether there is somebody who runs it at once.
    pub(super) fn add(&mut self, change: &'c Change, (has_executor, door): (bool, Door)) {
        match change {
            Change::Start(new) => self.starts.add(new, (has_executor, door)),
            Change::Progress(progress) => self.records.add(progress),
            Change::Finish(finish) => self.ends.add(finish),
            _ => {}
        }
    }

    /// Runs the smallest statement that holds all of them.
    pub(super) async fn run(
        &self,
        db: &Connection,
        executor: Option<&ExecutorId>,
        losses: Option<i64>,
    ) -> Result<Option<Row>, Failure> {
        let executor = executor.map(ExecutorId::as_str);
        let sql = self.statement(executor.is_some());
        db.query_opt(sql, &self.params(sql, (&executor, &losses)))
            .await
    }

    /// Has the statement prepared that [`run`](Self::run) would run.
    pub(super) async fn prepare(&self, db: &Connection, has_executor: bool) -> Result<(), Failure> {
        if !db.server.is_unnamed() {
            let sql = self.statement(has_executor);
            db.prepared(sql, &self.params(sql, (&None, &None))).await?;
        }
        Ok(())
    }

    /// The smallest statement for what there is.
    fn statement(&self, has_executor: bool) -> &'static str {
        let has_starts = !self.starts.ids.is_empty();
        let is_one_record = self.records.keys.len() == 1 && self.ends.keys.is_empty();
        match (has_executor, has_starts) {
            (true, false) if is_one_record => RECORD,
            (true, false) => RUNS,
            (true, true) => RUNS_AND_STARTS,
            (false, _) => STARTS,
        }
    }

    /// What a statement is given.
    fn params<'a>(
        &'a self,
        sql: &str,
        (executor, losses): (&'a Option<&'a str>, &'a Option<i64>),
    ) -> Vec<Param<'a>> {
        if sql == RECORD
            && let Some(record) = self.records.only()
        {
            return [params![*executor, *losses].as_slice(), &record].concat();
        }
        let mut values = self.of_runs(executor, losses);
        if sql != RUNS {
            values.extend(self.starts.params());
        }
        values
    }

    #[cfg(test)]
    pub(super) fn types(&self) -> Vec<tokio_postgres::types::Type> {
        let values = self.params(RUNS_AND_STARTS, (&None, &None));
        values.into_iter().map(|(_, of)| of).collect()
    }

    fn of_runs<'a>(
        &'a self,
        executor: &'a Option<&'a str>,
        losses: &'a Option<i64>,
    ) -> Vec<Param<'a>> {
        let (r, e) = (&self.records, &self.ends);
        let values: &[Param<'a>] = params![
            *executor,
            *losses,
            r.keys,
            r.places,
            r.kinds,
            r.names,
            r.failed,
            r.payloads,
            r.attempts,
            r.elapsed_us,
            r.parts,
            e.keys,
            e.states,
            e.fingerprints,
            e.payloads,
            e.reasons,
        ];
        values.to_vec()
    }
}

impl<'c> Records<'c> {
    /// The values of the only one.
    fn only(&self) -> Option<[Param<'_>; 8]> {
        Some([
            param(self.keys.first()?),
            param(self.places.first()?),
            param(self.kinds.first()?),
            param(self.names.first()?),
            param(self.failed.first()?),
            param(self.payloads.first()?),
            param(self.attempts.first()?),
            param(self.elapsed_us.first()?),
        ])
    }

    fn add(&mut self, progress: &'c Progress) {
        let part = (progress.records.len() > 1).then_some(self.parts_count);
        self.parts_count += i32::from(part.is_some());
        for record in &progress.records {
            self.keys.push(progress.key.0);
            self.places.push(record.place.encode());
            self.kinds.push(record.kind.as_str());
            self.names.push(&record.name);
            self.failed.push(matches!(record.outcome, Outcome::Err(_)));
            self.payloads.push(record.outcome.payload().as_str());
            self.attempts.push(i64::from(record.attempts));
            self.elapsed_us.push(micros(record.elapsed));
            self.parts.push(part);
        }
    }
}

impl<'c> Ends<'c> {
    fn add(&mut self, finish: &'c Finish) {
        let (state, payload, why) = match &finish.end {
            End::Succeeded(output) => (State::Succeeded, output, None),
            End::Failed {
                error,
                fingerprint,
                reason,
            } => (State::Failed, error, Some((fingerprint, reason))),
            // Never hot.
            End::Declined { .. } | End::Stuck { .. } => return,
        };
        self.keys.push(finish.key.0);
        self.states.push(state.as_str());
        let (fingerprint, reason) = why.unzip();
        self.fingerprints
            .push(fingerprint.map(|text| sentence(text)));
        self.reasons.push(reason.map(|text| sentence(text)));
        self.payloads.push(payload.as_str());
    }
}

impl<'c> Attributes<'c> {
    /// Of a name that comes twice, the last value counts.
    fn add(&mut self, id: &'c str, attributes: &'c [(String, String)]) {
        let first = self.names.len();
        for (name, value) in attributes {
            let known = self.names[first..].iter().position(|it| it == name);
            if let Some(known) = known {
                self.values[first + known] = value;
                continue;
            }
            self.ids.push(id);
            self.names.push(name);
            self.values.push(value);
        }
    }
}

impl<'c> Starts<'c> {
    fn add(&mut self, new: &'c NewWorkflow, (has_executor, door): (bool, Door)) {
        let delay = new.delay.filter(|delay| !delay.is_zero());
        let runs_here = new.launch == Launch::Here && has_executor;
        let state = match delay {
            Some(_) => State::Delayed,
            None if runs_here => State::Running,
            None => State::Enqueued,
        };
        let id = new.id.as_str();
        self.ids.push(id);
        self.nonces.push(new.nonce.to_string());
        self.names.push(&new.name);
        self.states.push(state.as_str());
        self.parent_keys
            .push(new.parent.as_ref().map(|parent| parent.key.0));
        let detached = new.parent.as_ref().is_some_and(|parent| parent.detached);
        self.detached.push(detached);
        self.origins.push(new.origin.as_deref());
        self.deadlines_us.push(new.deadline.map(micros));
        self.delays_us.push(delay.map(micros));
        self.payloads.push(new.input.as_str());
        self.attributes.add(id, &new.attributes);
        let queue = match &new.launch {
            Launch::Queue(queue) => Some(queue),
            Launch::Here | Launch::Anywhere => None,
        };
        self.queue_names.push(queue.map_or("", |queue| &queue.name));
        self.queue_keys.push(queue.map_or("", |queue| &queue.key));
        let priority = queue.map_or(0, |queue| i64::from(queue.priority));
        let advance = priority.saturating_mul(micros(PRIORITY_STEP));
        self.advances_us.push(advance);
        let is_let_in = door == Door::Open || Room::needed(new).is_none();
        self.let_in.push(is_let_in);
        if let Some(queue) = queue {
            self.queues.ids.push(id);
            self.queues.names.push(&queue.name);
            for (column, limit) in self.queues.limits.iter_mut().zip(columns(&queue.limits)) {
                column.push(limit);
            }
        }
    }

    fn params(&self) -> Vec<Param<'_>> {
        let (a, q) = (&self.attributes, &self.queues);
        let [all, each, key, starts, period, waiting] = &q.limits;
        let values: &[Param<'_>] = params![
            self.ids,
            self.names,
            self.states,
            self.queue_names,
            self.parent_keys,
            self.detached,
            self.origins,
            self.deadlines_us,
            self.delays_us,
            self.payloads,
            a.ids,
            a.names,
            a.values,
            q.ids,
            q.names,
            *all,
            *each,
            *key,
            *starts,
            *period,
            *waiting,
            self.queue_keys,
            self.advances_us,
            self.let_in,
            self.nonces,
        ];
        values.to_vec()
    }
}
