//! Take, accept, mark.

use std::time::Duration;

use stepwell_core::Workflow;
use stepwell_events::{BATCH_BYTES, Delivery, Intake};
use tracing::warn;

use crate::outbox::{Home, Outbox};

/// The first and the longest pause after the table could not be read.
const AFTER_ERROR: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// How long accepting a batch may take. In Postgres its rows are locked meanwhile: what takes longer,
/// because a queue is full, is let go, and comes again.
const ACCEPT_MAX: Duration = Duration::from_secs(10);

/// What a look at the table came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looked {
    /// A whole batch, in rows or in bytes: there may be more.
    Full,
    /// Everything that was there, or what others have not locked.
    All,
    /// The batch was not accepted in time; its rows come again.
    TooLong,
    /// The application stops.
    Stopping,
}

impl Looked {
    /// After these were accepted.
    pub(crate) fn after(deliveries: &[Delivery], outbox: &Outbox) -> Self {
        let bytes: usize = deliveries.iter().map(|delivery| delivery.body.len()).sum();
        match u32::try_from(deliveries.len()) {
            Ok(rows) if rows < outbox.batch && bytes < BATCH_BYTES => Self::All,
            _ => Self::Full,
        }
    }
}

/// Consumes until the application stops.
pub(crate) async fn consume<W: Workflow>(outbox: Outbox, intake: Intake<W>) {
    let mut bell = Bell::of(&outbox).await;
    let mut pause = AFTER_ERROR.0;
    loop {
        let looked = match &outbox.home {
            #[cfg(feature = "postgres")]
            Home::Postgres(pool) => crate::postgres::look(&outbox, pool, &intake).await,
            #[cfg(feature = "sqlite")]
            Home::Sqlite(pool) => crate::sqlite::look(&outbox, pool, &intake).await,
        };
        let wait = match looked {
            Ok(Looked::Stopping) => return,
            Ok(Looked::Full | Looked::TooLong) => continue,
            Ok(Looked::All) => {
                pause = AFTER_ERROR.0;
                outbox.poll
            }
            Err(error) => {
                let (source, table) = (&outbox.source, &outbox.table);
                warn!(
                    source,
                    table,
                    error = error.to_string(),
                    "could not consume an outbox; trying again"
                );
                pause = (pause * 2).min(AFTER_ERROR.1);
                pause
            }
        };
        tokio::select! {
            biased;
            () = intake.stopping() => return,
            () = bell.rings() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Accepts a batch. None if it took too long, or the application stops.
pub(crate) async fn accept<W: Workflow>(
    intake: &Intake<W>,
    deliveries: &[Delivery],
) -> Result<(), Looked> {
    match tokio::time::timeout(ACCEPT_MAX, intake.accept_all(deliveries)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) => Err(Looked::Stopping),
        Err(_) => Err(Looked::TooLong),
    }
}

/// What says that there are new rows.
pub(crate) enum Bell {
    #[cfg(feature = "postgres")]
    Postgres(Box<sqlx::postgres::PgListener>),
    /// Only the next poll tells.
    Silent,
}

impl Bell {
    async fn of(outbox: &Outbox) -> Self {
        match &outbox.home {
            #[cfg(feature = "postgres")]
            Home::Postgres(pool) => crate::postgres::listen(outbox, pool).await,
            #[cfg(feature = "sqlite")]
            Home::Sqlite(_) => Self::Silent,
        }
    }

    async fn rings(&mut self) {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(listener) => {
                // It connects again by itself; what was missed meanwhile is found by the poll.
                if listener.recv().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
            Self::Silent => std::future::pending().await,
        }
    }
}
