//! A lock that keeps everybody from writing.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};

/// Keeps everybody from writing what leases stand on, as a backup, a migration or a person does.
pub(crate) enum Lock {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Lock {
    pub(crate) async fn take(url: &str) -> Self {
        if url.starts_with("sqlite:") {
            let mut db = SqliteConnection::connect(url).await.unwrap();
            db.execute("begin immediate").await.unwrap();
            return Self::Sqlite(db);
        }
        let mut db = PgConnection::connect(url).await.unwrap();
        let lock = "begin; lock table shop.executors, shop.workflows in exclusive mode";
        db.execute(sqlx::raw_sql(AssertSqlSafe(lock.to_owned())))
            .await
            .unwrap();
        Self::Postgres(db)
    }

    pub(crate) async fn release(self) {
        match self {
            Self::Sqlite(mut db) => drop(db.execute("rollback").await.unwrap()),
            Self::Postgres(mut db) => drop(db.execute("rollback").await.unwrap()),
        }
    }
}
