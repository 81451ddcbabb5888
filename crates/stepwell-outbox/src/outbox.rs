//! [`Outbox`]: what to consume, and how.

use std::{fmt, time::Duration};

use stepwell_core::{Error, ErrorKind, Workflow};
use stepwell_events::{Connected, Intake, Source};

use crate::consume::consume;

/// How many rows become one commit unless said otherwise.
const BATCH: u32 = 500;
/// The most rows of a batch.
const BATCH_MAX: u32 = 10_000;
/// The longest name of a table: Postgres cuts longer ones.
const TABLE_BYTES_MAX: usize = 63;

/// A table whose rows are events.
#[derive(Clone)]
pub struct Outbox {
    pub(crate) home: Home,
    pub(crate) source: String,
    pub(crate) table: String,
    pub(crate) batch: u32,
    pub(crate) poll: Duration,
    pub(crate) after: After,
}

/// Where the table is.
#[derive(Clone)]
pub(crate) enum Home {
    #[cfg(feature = "postgres")]
    Postgres(sqlx::PgPool),
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::SqlitePool),
}

/// What becomes of a row whose start is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    Marked,
    Deleted,
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox")
            .field("source", &self.source)
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

impl Outbox {
    /// The table `outbox` in Postgres. It is heard of at once, by a notification that its trigger sends,
    /// and looked at every 5 s; behind a pooler that hides notifications, set
    /// [`poll`](Self::poll).
    #[cfg(feature = "postgres")]
    #[must_use]
    pub fn postgres(pool: sqlx::PgPool) -> Self {
        Self::new(Home::Postgres(pool), Duration::from_secs(5))
    }

    /// The table `outbox` in SQLite. It is looked at ten times a second.
    #[cfg(feature = "sqlite")]
    #[must_use]
    pub fn sqlite(pool: sqlx::SqlitePool) -> Self {
        Self::new(Home::Sqlite(pool), Duration::from_millis(100))
    }

    fn new(home: Home, poll: Duration) -> Self {
        Self {
            home,
            source: "outbox".to_owned(),
            table: "outbox".to_owned(),
            batch: BATCH,
            poll,
            after: After::Marked,
        }
    }

    /// Names the source, where one application consumes several tables.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.source = name.into();
        self
    }

    /// Another table: lower-case letters, digits and `_`, in Postgres with a schema before it if need be.
    #[must_use]
    pub fn table(mut self, table: impl Into<String>) -> Self {
        self.table = table.into();
        self
    }

    /// How many rows become one commit at most; 500 unless said otherwise. Large ones are fewer: a batch is
    /// full with [`BATCH_BYTES`](stepwell_events::BATCH_BYTES), too.
    #[must_use]
    pub fn batch(mut self, rows: u32) -> Self {
        self.batch = rows;
        self
    }

    /// How often the table is looked at when nobody notifies.
    #[must_use]
    pub fn poll(mut self, every: Duration) -> Self {
        self.poll = every;
        self
    }

    /// Deletes a row when its start is durable, instead of marking it. Then its id must never be used
    /// again, as that of an `identity` never is.
    #[must_use]
    pub fn delete_accepted(mut self) -> Self {
        self.after = After::Deleted;
        self
    }

    /// The statements that make the table, for your migrations. More columns are yours to add.
    #[must_use]
    pub fn schema(&self) -> String {
        match &self.home {
            #[cfg(feature = "postgres")]
            Home::Postgres(_) => crate::postgres::schema(&self.table),
            #[cfg(feature = "sqlite")]
            Home::Sqlite(_) => crate::sqlite::schema(&self.table),
        }
    }

    fn check(&self) -> Result<(), String> {
        let source = &self.source;
        if self.batch == 0 || self.batch > BATCH_MAX {
            return Err(format!(
                "the outbox `{source}` has a batch of {} rows; set one from 1 to {BATCH_MAX}",
                self.batch
            ));
        }
        if self.poll.is_zero() {
            return Err(format!(
                "the outbox `{source}` is looked at all the time; set a `poll` that is longer than 0"
            ));
        }
        let parts: Vec<&str> = self.table.split('.').collect();
        if parts.len() > self.parts_max() || !parts.iter().all(|part| is_name(part)) {
            return Err(format!(
                "the outbox `{source}` has the table `{}`; its name has up to {TABLE_BYTES_MAX} \
                 lower-case letters, digits and `_`, and begins with no digit",
                self.table
            ));
        }
        Ok(())
    }

    /// How many parts the table's name may have: a schema and a name, where there are schemas.
    fn parts_max(&self) -> usize {
        match &self.home {
            #[cfg(feature = "postgres")]
            Home::Postgres(_) => 2,
            #[cfg(feature = "sqlite")]
            Home::Sqlite(_) => 1,
        }
    }
}

fn is_name(part: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    !part.is_empty()
        && part.len() <= TABLE_BYTES_MAX
        && part.chars().all(fits)
        && !part.starts_with(|c: char| c.is_ascii_digit())
}

impl<W: Workflow> Source<W> for Outbox {
    fn name(&self) -> &str {
        &self.source
    }

    fn connect(self, intake: Intake<W>) -> Result<Connected, Error> {
        self.check()
            .map_err(|message| Error::new(ErrorKind::Setup, message))?;
        Ok(Connected::Consumer(Box::pin(consume(self, intake))))
    }
}
