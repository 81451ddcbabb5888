//! A user's database, for one test.

use sea_orm::{ConnectionTrait, Database as Orm, DbBackend, Statement};

/// It is dropped with this.
pub(crate) struct Database {
    pub(crate) url: String,
    _database: scratch::Database,
}

impl Database {
    /// None, and a line that says so, without a server.
    pub(crate) fn make() -> Option<Self> {
        let database = scratch::Database::new("sea_orm")?;
        Some(Self {
            url: database.url().to_owned(),
            _database: database,
        })
    }

    /// How many orders there are, as another process sees it.
    pub(crate) async fn orders(&self) -> i64 {
        self.count("select count(*) from orders").await
    }

    /// How many orders there are that can be placed once.
    pub(crate) async fn placed(&self) -> i64 {
        self.count("select count(*) from placed").await
    }

    /// How many operations have left a witness.
    pub(crate) async fn witnesses(&self) -> i64 {
        self.count("select count(*) from stepwell.witness").await
    }

    async fn count(&self, rows: &str) -> i64 {
        let other = Orm::connect(&self.url).await.unwrap();
        let rows = Statement::from_string(DbBackend::Postgres, rows);
        let rows = other.query_one_raw(rows).await.unwrap().unwrap();
        let count = rows.try_get_by_index(0).unwrap();
        other.close().await.unwrap();
        count
    }
}
