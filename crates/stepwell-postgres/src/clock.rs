//! The server's clock, as this process reckons it.
//!
//! Statements ask `clock()` in the schema, the only clock there is. [`Store::now`] cannot wait for
//! an answer: it reckons from the last one, by the machine's steady clock. The machine's own idea
//! of the date plays no part.
//!
//! [`Store::now`]: stepwell_core::store::Store::now

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;

use crate::{connection::Connection, error::Failure, params::params, rows::get};

/// Asks the server's clock.
pub(crate) const ASK: &str = "select {schema}.clock()";

/// How far the schema's clock is from the server's own: not at all, but in tests.
const APART: &str =
    "select (extract(epoch from {schema}.clock() - clock_timestamp()) * 1000000)::bigint";

/// Moves the schema's clock. For tests.
pub(crate) async fn advance(db: &Connection, by_micros: i64) -> Result<(), Failure> {
    let apart: i64 = match db.query_opt(APART, params![]).await? {
        Some(row) => get(&row, 0)?,
        None => 0,
    };
    let apart = apart.saturating_add(by_micros);
    db.batch(&format!(
        "create or replace function {{schema}}.clock() returns timestamptz \
         language sql volatile \
         as $$select pg_catalog.clock_timestamp() + {apart} * interval '1 microsecond'$$"
    ))
    .await
}

/// An instant of the server, and when it was.
#[derive(Debug, Clone, Copy)]
struct Reading {
    server: Timestamp,
    here: Instant,
}

/// Reckons the server's time.
#[derive(Debug, Default)]
pub(crate) struct ServerClock(Mutex<Option<Reading>>);

impl ServerClock {
    /// The time now. Before the first answer, 1970: nobody has a store before it.
    pub(crate) fn now(&self) -> Timestamp {
        match *self.lock() {
            Some(reading) => reckon(reading, Instant::now()),
            None => Timestamp::UNIX_EPOCH,
        }
    }

    /// Takes an answer that was asked for at `asked` and came just now.
    ///
    /// The server looked at its clock somewhere in between. An estimate that lies within is kept:
    /// it is as good, and `now` does not jitter. So a slow answer never spoils a good estimate.
    pub(crate) fn learn(&self, server: Timestamp, asked: Instant) {
        let answered = Instant::now();
        let doubt = answered.duration_since(asked) / 2;
        let new = Reading {
            server,
            here: asked + doubt,
        };
        let mut reading = self.lock();
        let is_good = reading.is_some_and(|old| {
            let apart = reckon(old, new.here).duration_since(new.server);
            apart.unsigned_abs() <= doubt.max(Duration::from_millis(1))
        });
        if !is_good {
            *reading = Some(new);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Reading>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn reckon(reading: Reading, at: Instant) -> Timestamp {
    let since = at.saturating_duration_since(reading.here);
    let moved = reading.server.saturating_add(since);
    moved.unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_is_kept_while_it_may_be_right() {
        let clock = ServerClock::default();
        let server = Timestamp::from_second(1_800_000_000).unwrap();
        clock.learn(server, Instant::now());
        let first = clock.now();
        // Asked ten seconds ago: the server may have looked at any time since.
        let asked = Instant::now().checked_sub(Duration::from_secs(10)).unwrap();
        clock.learn(server - Duration::from_secs(2), asked);
        assert!(clock.now() >= first);
    }

    #[test]
    fn a_clock_that_was_moved_is_believed() {
        let clock = ServerClock::default();
        let server = Timestamp::from_second(1_800_000_000).unwrap();
        clock.learn(server, Instant::now());
        clock.learn(server + Duration::from_secs(3600), Instant::now());
        assert!(clock.now() >= server + Duration::from_secs(3600));
        clock.learn(server, Instant::now());
        assert!(clock.now() < server + Duration::from_secs(60));
    }
}
