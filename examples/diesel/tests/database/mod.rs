//! A user's database, for one test.

use diesel::{QueryableByName, sql_query, sql_types::BigInt};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};

/// It is dropped with this.
pub(crate) struct Database {
    pub(crate) url: String,
    _database: scratch::Database,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

impl Database {
    /// None, and a line that says so, without a server.
    pub(crate) fn make() -> Option<Self> {
        let database = scratch::Database::new("diesel")?;
        Some(Self {
            url: database.url().to_owned(),
            _database: database,
        })
    }

    /// How many orders there are, as another process sees it.
    pub(crate) async fn orders(&self) -> i64 {
        self.count("select count(*) as rows from orders").await
    }

    /// How many orders there are that can be placed once.
    pub(crate) async fn placed(&self) -> i64 {
        self.count("select count(*) as rows from placed").await
    }

    /// How many operations have left a witness.
    pub(crate) async fn witnesses(&self) -> i64 {
        let rows = "select count(*) as rows from stepwell.witness";
        self.count(rows).await
    }

    async fn count(&self, rows: &str) -> i64 {
        let mut other = AsyncPgConnection::establish(&self.url).await.unwrap();
        let count: Count = sql_query(rows).get_result(&mut other).await.unwrap();
        count.rows
    }
}
