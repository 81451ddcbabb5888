//! Runs leave memory, and are woken.
//!
//! # Why no wake-up is lost
//! Whoever parks a workflow locks its row and those of the others that it waits for (`for update`),
//! and looks then, in a statement of its own, whether what it waits for is there. Whoever sends to
//! it holds its row `for key share` from before the message is written to the end of the
//! transaction; whoever publishes or ends locks the own row before that (`for no key update`, which
//! lets those pass who send to it). So of two that meet, the
//! later one sees what the earlier one has done. Whoever parks does not wait for a lock: if a row is
//! in use, something may be coming, and the workflow stays where it is.

use std::collections::HashSet;

use stepwell_core::{
    State, WorkflowKey,
    store::{Applied, Change, Park, Parked, Refusal, Wait},
};

use super::Scope;
use crate::{
    error::Failure,
    params::{At, params},
    rows::{self, get, sentence},
};

/// Those rows that nobody has locked.
pub(crate) const LOCK: &str = "
    select workflow_key
    from {schema}.workflows
    where workflow_key = any($1::bigint[])
    order by workflow_key
    for update skip locked";

/// Parks those whose rows are locked, and for whom nothing has come.
pub(crate) const PARK: &str = "
    with come as materialized (
        select i.workflow_key
        from unnest($5::bigint[], $6::text[]) as i (workflow_key, topic)
        cross join lateral (
            select 1
            from {schema}.messages as m
            where m.workflow_key = i.workflow_key
              and m.topic = i.topic
              and m.received_at is null
            limit 1
        ) as message
        union all
        select i.workflow_key
        from unnest($7::bigint[], $8::bigint[], $9::text[]) as i (workflow_key, of_key, name)
        cross join lateral (
            select 1
            from {schema}.events as e
            where e.workflow_key = i.of_key
              and e.name = i.name
            limit 1
        ) as event
        union all
        select i.workflow_key
        from unnest($10::bigint[], $11::bigint[]) as i (workflow_key, of_key)
        cross join lateral (
            select w.state
            from {schema}.workflows as w
            where w.workflow_key = i.of_key
            offset 0
        ) as other
        where other.state in ('succeeded', 'failed', 'cancelled')
    )
    update {schema}.workflows as w
    set state = 'parked',
        previous_executor_id = w.executor_id,
        executor_id = null,
        reason = i.reason,
        wake_at = least(i.until, w.deadline_at)
    from unnest($2::bigint[], $3::timestamptz[], $4::text[]) as i (workflow_key, until, reason)
    where w.workflow_key = any (array[i.workflow_key])
      and coalesce(w.state, '') = 'running'
      and coalesce(w.executor_id, '') = $1
      and coalesce(w.queue_name, '') = ''
      and i.workflow_key not in (select workflow_key from come)
    returning w.workflow_key";

/// What is with those that were not parked.
pub(crate) const STATES: &str = "
    select workflow_key, state, coalesce(executor_id = $2, false), queue_name <> ''
    from {schema}.workflows
    where workflow_key = any($1::bigint[])";

pub(crate) const WATCH: &str = "
    update {schema}.workflows
    set watched = true
    where workflow_key = any($1::bigint[])
      and not watched";

pub(crate) const ADD_WAITERS: &str = "
    insert into {schema}.waiters (workflow_key, waiter_key)
    select of_key, workflow_key
    from unnest($1::bigint[], $2::bigint[]) as i (of_key, workflow_key)
    on conflict do nothing";

/// Lets workflows wait for an executor that are parked. Their rows are locked by their keys: two batches
/// that wake the same ones must not wait for each other.
pub(crate) const WAKE: &str = "
    with parked as materialized (
        select workflow_key
        from {schema}.workflows
        where workflow_key = any($1::bigint[])
          and coalesce(state, '') = 'parked'
        order by workflow_key
        for no key update
    )
    update {schema}.workflows
    set state = 'enqueued',
        reason = null,
        wake_at = null
    where workflow_key = any (array(select workflow_key from parked))
      and coalesce(state, '') = 'parked'";

/// Takes those that wait for one of these, whose rows are locked, off the list.
pub(crate) const WAITERS: &str = "
    with unwatched as (
        update {schema}.workflows
        set watched = false
        where workflow_key = any($1::bigint[])
          and watched
    )
    delete from {schema}.waiters
    where workflow_key = any($1::bigint[])
    returning waiter_key";

/// Parks all that a batch asks for, before the rest of it: what comes to them with the same batch
/// wakes them, and a change of a run never stands before the one that parks it.
pub(super) async fn apply_all(
    scope: &mut Scope<'_>,
    changes: &[Change],
    answers: &mut [Option<Applied>],
) -> Result<(), Failure> {
    let asked: Vec<(usize, &Park)> = (changes.iter().enumerate())
        .filter_map(|(place, change)| match change {
            Change::Park(park) => Some((place, park)),
            _ => None,
        })
        .collect();
    if asked.is_empty() {
        return Ok(());
    }
    let free = lock(scope, &asked).await?;
    let is_free = |key: WorkflowKey| free.contains(&key.0);
    let can_park: Vec<&Park> = (asked.iter())
        .map(|(_, park)| *park)
        .filter(|park| is_free(park.key) && park.waits.iter().filter_map(Wait::of).all(is_free))
        .collect();
    let parked = park(scope, &can_park).await?;
    let not_parked: Vec<_> = (asked.iter())
        .map(|(_, park)| park.key.0)
        .filter(|key| !parked.contains(key))
        .collect();
    let others = states(scope, not_parked).await?;
    for (place, park) in asked {
        let answer = match parked.contains(&park.key.0) {
            true => Parked::Now,
            false => others
                .iter()
                .find(|(key, _)| *key == park.key.0)
                .map_or(Parked::Refused(Refusal::NotMine), |(_, answer)| *answer),
        };
        answers[place] = Some(Applied::Park(answer));
    }
    Ok(())
}

/// Locks the rows of those that are to be parked, and of those that they wait for.
async fn lock(scope: &Scope<'_>, asked: &[(usize, &Park)]) -> Result<HashSet<i64>, Failure> {
    let keys = asked.iter().flat_map(|(_, park)| {
        let others = park.waits.iter().filter_map(Wait::of);
        others.chain([park.key]).map(|key| key.0)
    });
    let keys: HashSet<_> = keys.collect();
    let keys: Vec<_> = keys.into_iter().collect();
    let rows = scope.db.query(LOCK, params![keys]).await?;
    rows.iter().map(|row| get(row, 0)).collect()
}

/// Parks those for whom nothing has come, and sees to it that they are woken.
async fn park(scope: &Scope<'_>, asked: &[&Park]) -> Result<HashSet<i64>, Failure> {
    if asked.is_empty() {
        return Ok(HashSet::new());
    }
    let keys: Vec<_> = asked.iter().map(|park| park.key.0).collect();
    let untils: Vec<_> = asked.iter().map(|park| park.until.map(At)).collect();
    let reasons: Vec<_> = asked.iter().map(|park| sentence(&park.reason)).collect();
    let columns = Columns::of(asked);
    let rows = scope
        .db
        .query(
            PARK,
            params![
                scope.me(),
                keys,
                untils,
                reasons,
                columns.messages.0,
                columns.messages.1,
                columns.events.0,
                columns.events.1,
                columns.events.2,
                columns.ends.0,
                columns.ends.1,
            ],
        )
        .await?;
    let parked: HashSet<i64> = rows
        .iter()
        .map(|row| get(row, 0))
        .collect::<Result<_, _>>()?;
    watch(scope, asked, &parked).await?;
    Ok(parked)
}

/// What those that are to be parked wait for, as columns.
#[derive(Default)]
struct Columns<'a> {
    messages: (Vec<i64>, Vec<&'a str>),
    events: (Vec<i64>, Vec<i64>, Vec<&'a str>),
    ends: (Vec<i64>, Vec<i64>),
}

impl<'a> Columns<'a> {
    fn of(asked: &[&'a Park]) -> Self {
        let mut columns = Self::default();
        for park in asked {
            for wait in &park.waits {
                columns.add(park.key.0, wait);
            }
        }
        columns
    }

    fn add(&mut self, key: i64, wait: &'a Wait) {
        match wait {
            Wait::Message { topic } => {
                self.messages.0.push(key);
                self.messages.1.push(topic);
            }
            Wait::Event { of, name } => {
                self.events.0.push(key);
                self.events.1.push(of.0);
                self.events.2.push(name);
            }
            Wait::End { of } => {
                self.ends.0.push(key);
                self.ends.1.push(of.0);
            }
        }
    }
}

/// Tells those that are waited for that they are.
async fn watch(scope: &Scope<'_>, asked: &[&Park], parked: &HashSet<i64>) -> Result<(), Failure> {
    let pairs = asked
        .iter()
        .filter(|park| parked.contains(&park.key.0))
        .flat_map(|park| {
            let others = park.waits.iter().filter_map(Wait::of);
            others.map(|other| (other.0, park.key.0))
        });
    let (watched, waiters): (Vec<i64>, Vec<i64>) = pairs.unzip();
    if watched.is_empty() {
        return Ok(());
    }
    scope.db.execute(WATCH, params![watched]).await?;
    scope
        .db
        .execute(ADD_WAITERS, params![watched, waiters])
        .await?;
    Ok(())
}

async fn states(scope: &Scope<'_>, keys: Vec<i64>) -> Result<Vec<(i64, Parked)>, Failure> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let rows = scope.db.query(STATES, params![keys, scope.me()]).await?;
    let answer = |row| {
        let (is_mine, is_queued): (bool, bool) = (get(row, 2)?, get(row, 3)?);
        let answer = match (rows::state(row, 1)?, is_mine, is_queued) {
            // Handed in again: only who ran it can have parked it.
            (State::Parked, ..) => Parked::Now,
            (State::Running, true, true) => Parked::Never,
            (State::Running, true, false) => Parked::NotYet,
            (State::Running, false, _) => Parked::Refused(Refusal::NotMine),
            (state, ..) => Parked::Refused(Refusal::NotRunning(state)),
        };
        Ok((get(row, 0)?, answer))
    };
    rows.iter().map(answer).collect()
}

impl Scope<'_> {
    /// Wakes a workflow that has a new message, if it is parked, before the transaction ends.
    pub(super) fn wake(&mut self, key: WorkflowKey) {
        self.to_wake.insert(key.0);
    }

    /// Wakes those that were parked until one of these, whose rows are locked, publishes a value or
    /// ends: it has. Before the transaction ends.
    pub(super) async fn wake_waiters(&mut self, keys: Vec<i64>) -> Result<(), Failure> {
        let waiters = self.db.query(WAITERS, params![keys]).await?;
        for waiter in &waiters {
            self.to_wake.insert(get(waiter, 0)?);
        }
        Ok(())
    }

    /// Wakes all that are to be woken, together: what comes next may ask for their states.
    pub(super) async fn wake_all(&mut self) -> Result<(), Failure> {
        let keys: Vec<_> = std::mem::take(&mut self.to_wake).into_iter().collect();
        if !keys.is_empty() {
            self.woken |= self.db.execute(WAKE, params![keys]).await? > 0;
        }
        Ok(())
    }
}
