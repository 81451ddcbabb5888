//! A user's database, for one test.

use stepwell::{AnyPool, AnyTx, Tx, TxOptions};
use stepwell_any::AnyHome;
use stepwell_core::{Operation, Payload, Position, Witness};

/// A database with a table of orders and one of witnesses.
pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) pool: AnyPool,
    /// Removes it.
    _home: Home,
}

enum Home {
    Directory { _directory: tempfile::TempDir },
    Server { _database: scratch::Database },
}

impl Database {
    pub(crate) async fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("users.db").display());
        let home = Home::Directory {
            _directory: directory,
        };
        let orders = "create table orders (id integer primary key, item text)";
        Self::open(url, home, orders).await
    }

    /// None, and a line that says so, without a server.
    pub(crate) async fn postgres() -> Option<Self> {
        let database = scratch::Database::new("any")?;
        let url = database.url().to_owned();
        let home = Home::Server {
            _database: database,
        };
        let orders = "create table orders (id bigserial primary key, item text)";
        Some(Self::open(url, home, orders).await)
    }

    async fn open(url: String, home: Home, orders: &'static str) -> Self {
        let pool = AnyPool::connect(&url).await.unwrap();
        pool.execute_script(orders).await.unwrap();
        AnyTx::make_witness_table(&pool).await.unwrap();
        Self {
            url,
            pool,
            _home: home,
        }
    }

    /// The address of a database for workflows, beside the user's tables.
    pub(crate) fn workflows(&self) -> String {
        match self.url.strip_suffix("users.db") {
            Some(directory) => format!("{directory}shop.db"),
            None => format!("{}?schema=shop", self.url),
        }
    }

    pub(crate) async fn begin(&self) -> (AnyTx, AnyHome) {
        AnyTx::begin(&self.pool, TxOptions::default())
            .await
            .unwrap()
    }

    pub(crate) async fn orders(&self) -> i64 {
        sqlx::query_scalar("select count(*) from orders")
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// Looks from a pool of another process.
    pub(crate) async fn witnessed(&self) -> Option<Payload> {
        let other = AnyPool::connect(&self.url).await.unwrap();
        let found = AnyTx::witnessed(&other, &operation()).await.unwrap();
        other.close().await;
        found
    }
}

pub(crate) fn operation() -> Operation {
    Operation {
        workflow: "order-1".to_owned(),
        position: Position::top(4).child(0),
    }
}

pub(crate) fn witness(output: &str) -> Witness {
    Witness {
        operation: operation(),
        output: payload(output),
    }
}

pub(crate) fn payload(json: &str) -> Payload {
    Payload::from_stored(json.to_owned())
}

/// What a user's code does. The transaction goes home at its end.
pub(crate) async fn order(mut tx: AnyTx) -> Result<(), sqlx::Error> {
    sqlx::query("insert into orders (item) values ($1)")
        .bind("widget")
        .execute(&mut tx)
        .await?;
    let item: String = sqlx::query_scalar("select item from orders limit 1")
        .fetch_one(&mut tx)
        .await?;
    assert_eq!(item, "widget", "it sees its own writes");
    Ok(())
}
