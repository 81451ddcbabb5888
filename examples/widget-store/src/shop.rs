//! The shop: the state that the workflows share, and its database.

use std::time::Duration;

use stepwell::{AnyPool, AnyTx, Failure, Timestamp};

use crate::crash::CrashSwitch;

/// How many parts an order is shipped in: what the column `progress_remaining` begins with.
pub(crate) const PARTS: u32 = 10;

/// How many widgets fit on the shelf.
pub(crate) const SHELF: i64 = 100;

/// What the workflows and the endpoints work with.
#[derive(Debug, stepwell::State)]
pub struct Shop {
    /// The shop's own tables: products and orders, and no workflows.
    #[provide]
    pub db: AnyPool,
    /// The crash button.
    #[provide]
    pub crash: CrashSwitch,
    /// How long one of the ten parts of a dispatch takes.
    pub dispatch_pause: Duration,
    /// How long a customer has to pay.
    pub payment_timeout: Duration,
}

impl Shop {
    /// Opens the database at `sqlite:path` or `postgres://…` and makes the tables and the first
    /// widgets if they are not there.
    ///
    /// # Errors
    /// A sentence that names the database, if it cannot be used.
    pub async fn open(url: &str) -> stepwell::Result<Self> {
        let unusable =
            |error: Failure| error.context("DATABASE_URL names a database that cannot be used");
        let opened = AnyPool::connect(url).await;
        let db = opened.map_err(|error| unusable(error.into()))?;
        let tables = match &db {
            AnyPool::Sqlite(_) => include_str!("schema/sqlite.sql"),
            AnyPool::Postgres(_) => include_str!("schema/postgres.sql"),
        };
        let made = db.execute_script(tables).await;
        made.map_err(|error| unusable(error.into()))?;
        // Otherwise the first order would be undone for the want of it, and its number be lost.
        let made = AnyTx::make_witness_table(&db).await;
        made.map_err(|error| unusable(error.into()))?;
        Ok(Self {
            db,
            crash: CrashSwitch::default(),
            dispatch_pause: Duration::from_secs(1),
            payment_timeout: Duration::from_secs(120),
        })
    }
}

/// An instant as the tables keep it. All have the same length, so they sort as text.
pub(crate) fn stored(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_stored_in_one_length() {
        for (at, expected) in [
            ("2025-01-02T03:04:05Z", "2025-01-02T03:04:05.000Z"),
            ("2025-01-02T03:04:05.0678Z", "2025-01-02T03:04:05.067Z"),
        ] {
            assert_eq!(stored(at.parse().unwrap()), expected);
        }
    }
}
