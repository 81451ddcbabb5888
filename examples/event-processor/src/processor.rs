//! The state that the workflows share, and its database.

use sqlx::{PgPool, postgres::PgPoolOptions};
use stepwell::{Failure, PostgresTx};

use crate::outside::Outside;

/// How many connections the workflows' transactions share.
const CONNECTIONS_MAX: u32 = 20;

/// What the workflows work with.
#[derive(Debug, Clone, stepwell::State)]
pub struct Processor {
    /// The processor's tables. The workflows are in the same database, in a schema of their own.
    #[provide]
    pub db: PgPool,
    /// The services of others.
    #[provide]
    pub outside: Outside,
}

impl Processor {
    /// Opens the database, and makes the tables if they are not there.
    ///
    /// # Errors
    /// A sentence that says what to do, if it cannot be used.
    pub async fn open(url: &str) -> stepwell::Result<Self> {
        let unusable = |error: Failure| {
            error.context("DATABASE_URL names a Postgres database that cannot be used")
        };
        let options = PgPoolOptions::new().max_connections(CONNECTIONS_MAX);
        let opened = options.connect(url).await;
        let db = opened.map_err(|error| unusable(error.into()))?;
        let made = sqlx::raw_sql(include_str!("schema/postgres.sql"));
        made.execute(&db)
            .await
            .map_err(|error| unusable(error.into()))?;
        // Otherwise the first transaction would be undone for the want of it, and run again.
        let made = PostgresTx::make_witness_table(&db).await;
        made.map_err(|error| unusable(error.into()))?;
        let outside = Outside::new(db.clone());
        Ok(Self { db, outside })
    }
}
