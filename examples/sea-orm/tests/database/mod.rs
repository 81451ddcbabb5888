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
        let other = Orm::connect(&self.url).await.unwrap();
        let count = Statement::from_string(DbBackend::Postgres, "select count(*) from orders");
        let count = other.query_one_raw(count).await.unwrap().unwrap();
        let orders = count.try_get_by_index(0).unwrap();
        other.close().await.unwrap();
        orders
    }
}
