//! The user's database, from its URL.

use std::{path::Path, time::Duration};

use sqlx::{
    ConnectOptions, Connection, PgPool, SqlitePool,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use stepwell_core::{Error, ErrorKind, store::StoreUrl};

use crate::AnyTransaction;

/// How many connections a pool has at most that [`AnyPool::connect`] makes. SQLite lets one of them
/// write at a time.
const SQLITE_CONNECTIONS_MAX: u32 = 4;
const POSTGRES_CONNECTIONS_MAX: u32 = 10;

/// How long a statement waits for another connection's lock on a SQLite file.
const BUSY_MAX: Duration = Duration::from_secs(5);

/// How long a Postgres server may take to answer when the pool is opened.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// A pool of connections to the user's database, SQLite or Postgres. Cheap to clone; all clones are
/// one pool.
///
/// `&pool` is an sqlx [`Executor`](sqlx::Executor) for [`sqlx::Any`]. [`begin`](Self::begin) and
/// [`begin_read`](Self::begin_read) open transactions that are no part of a workflow;
/// [`AnyTx`](crate::AnyTx) is one of a workflow.
///
/// A pool that is set up in another way becomes one with `from`:
///
/// ```
/// # async fn pools() -> Result<(), sqlx::Error> {
/// use sqlx::postgres::PgPoolOptions;
/// use stepwell::AnyPool;
///
/// let pool = PgPoolOptions::new().max_connections(50).connect_lazy("postgres://localhost/shop")?;
/// let pool = AnyPool::from(pool);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub enum AnyPool {
    /// A SQLite file.
    Sqlite(SqlitePool),
    /// A Postgres database.
    Postgres(PgPool),
}

impl From<SqlitePool> for AnyPool {
    fn from(pool: SqlitePool) -> Self {
        Self::Sqlite(pool)
    }
}

impl From<PgPool> for AnyPool {
    fn from(pool: PgPool) -> Self {
        Self::Postgres(pool)
    }
}

impl AnyPool {
    /// Opens the database at a URL: `sqlite:path`, or `postgres://user:password@host/database` with
    /// the parameters that sqlx knows.
    ///
    /// A SQLite file is made where there is none, in WAL mode, and a commit is on the disk before it
    /// returns. The path is taken as it stands, without percent-encoding or parameters, as the store
    /// of the workflows takes it.
    ///
    /// # Errors
    /// [`ErrorKind::Setup`] if the URL names no such database, [`ErrorKind::Unavailable`] if the
    /// database cannot be opened.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        let address = StoreUrl::new(url);
        match address.scheme() {
            "sqlite" => sqlite(&address).await.map(Self::Sqlite),
            "postgres" | "postgresql" => postgres(&address).await.map(Self::Postgres),
            _ => Err(Error::new(
                ErrorKind::Setup,
                format!(
                    "`{address}` is no address of a database; write `sqlite:shop.db` or \
                     `postgres://user:password@host/shop`"
                ),
            )),
        }
    }

    /// Begins a transaction that may write. A SQLite file is locked for other writers from now on.
    ///
    /// # Errors
    /// When the database does not answer, or another connection writes for too long.
    pub async fn begin(&self) -> Result<AnyTransaction, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(pool) => AnyTransaction::Sqlite(pool.begin_with("begin immediate").await?),
            Self::Postgres(pool) => AnyTransaction::Postgres(pool.begin().await?),
        })
    }

    /// Begins a transaction whose reads all see the same moment, and which keeps nobody from
    /// writing. It is for reading: Postgres refuses writes in it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn begin_read(&self) -> Result<AnyTransaction, sqlx::Error> {
        const ONE_MOMENT: &str = "begin isolation level repeatable read, read only";
        Ok(match self {
            Self::Sqlite(pool) => AnyTransaction::Sqlite(pool.begin().await?),
            Self::Postgres(pool) => AnyTransaction::Postgres(pool.begin_with(ONE_MOMENT).await?),
        })
    }

    /// Runs a text of several statements, as it stands: the tables of the application.
    ///
    /// In Postgres they are one transaction. In SQLite each is one by itself, unless the text says
    /// `begin` and `commit`.
    ///
    /// # Errors
    /// That of the first statement that fails.
    pub async fn execute_script(&self, sql: &'static str) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(pool) => sqlx::raw_sql(sql).execute(pool).await.map(drop),
            Self::Postgres(pool) => sqlx::raw_sql(sql).execute(pool).await.map(drop),
        }
    }

    /// Closes the connections, once those that are in use have come back.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

async fn sqlite(address: &StoreUrl) -> Result<SqlitePool, Error> {
    let file = sqlite_file(address)?;
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // A commit is on the disk before Stepwell records it: it survives a power cut too.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_MAX);
    let opened = SqlitePoolOptions::new()
        .max_connections(SQLITE_CONNECTIONS_MAX)
        .connect_with(options)
        .await;
    opened.map_err(|error| {
        let what = format!(
            "the database `{}` cannot be opened; name a file in a directory that exists and can be \
             written",
            file.display()
        );
        Error::new(ErrorKind::Unavailable, what).with_source(error)
    })
}

/// The file that a URL names.
fn sqlite_file(address: &StoreUrl) -> Result<&Path, Error> {
    let url = address.expose();
    let rest = url.strip_prefix("sqlite:").unwrap_or_default();
    let path = rest.strip_prefix("//").unwrap_or(rest);
    let why = match path {
        "" => "names no file; write `sqlite:shop.db`",
        ":memory:" => {
            "would be another database for each connection; name a file, or make a pool of one \
             connection and give it to `AnyPool::from`"
        }
        _ if path.contains('?') => {
            "has parameters, and there are none; write `sqlite:path`, or make a pool and give it to \
             `AnyPool::from`"
        }
        _ => return Ok(Path::new(path)),
    };
    Err(Error::new(ErrorKind::Setup, format!("`{address}` {why}")))
}

async fn postgres(address: &StoreUrl) -> Result<PgPool, Error> {
    let parsed: Result<PgConnectOptions, _> = for_sqlx(address).parse();
    let options = parsed.map_err(|error| {
        let what = format!(
            "`{address}` is no address of a Postgres database; write \
             `postgres://user:password@host:5432/database`"
        );
        let refused = Error::new(ErrorKind::Setup, what);
        // sqlx says which value it does not take. Where a password holds `?`, that is a part of it.
        let query = address
            .expose()
            .split_once('?')
            .map_or("", |(_, query)| query);
        match query.contains('@') {
            true => refused,
            false => refused.with_source(error),
        }
    })?;
    // A pool goes on trying where nobody listens, and then says only that it waited too long.
    try_once(&options).await.map_err(|error| {
        let what = format!(
            "the database `{address}` cannot be reached; start the server, or correct the URL"
        );
        Error::new(ErrorKind::Unavailable, what).with_source(error)
    })?;
    Ok(PgPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS_MAX)
        .connect_lazy_with(options))
}

/// The parameters that sqlx knows.
const OF_SQLX: [&str; 18] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// The address without the parameters that sqlx does not know: those of the store of workflows may stand
/// in it. sqlx leaves them out as well, but says what they are in the log, and one whose name is
/// misspelt may be a password.
fn for_sqlx(address: &StoreUrl) -> String {
    let Some((place, query)) = address.expose().split_once('?') else {
        return address.expose().to_owned();
    };
    let is_known = |parameter: &&str| {
        let name = parameter.split('=').next().unwrap_or_default();
        OF_SQLX.contains(&name) || name.starts_with("options[")
    };
    let known: Vec<_> = query.split('&').filter(is_known).collect();
    format!("{place}?{}", known.join("&"))
}

async fn try_once(options: &PgConnectOptions) -> Result<(), sqlx::Error> {
    let connected = tokio::time::timeout(CONNECT_MAX, options.connect()).await;
    connected
        .map_err(|_| sqlx::Error::PoolTimedOut)??
        .close()
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn file(url: &str, path: &str) {
        let address = StoreUrl::new(url);
        assert_eq!(sqlite_file(&address).unwrap(), Path::new(path));
    }

    #[track_caller]
    fn refused(url: &str, reason: &str) {
        let error = sqlite_file(&StoreUrl::new(url)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Setup);
        let said = error.to_string();
        let named = url.split('?').next().unwrap_or(url);
        assert!(said.contains(named) && said.contains(reason), "{said}");
        assert!(!format!("{error:?}").contains("s3cr3t"), "{error:?}");
    }

    #[test]
    fn what_sqlx_does_not_know_is_not_handed_to_it() {
        let of = |url| for_sqlx(&StoreUrl::new(url));
        assert_eq!(of("postgres://a:b@db/shop"), "postgres://a:b@db/shop");
        assert_eq!(
            of("postgres://db/shop?schema=s&user=u&pasword=s3cr3t&options[a]=b"),
            "postgres://db/shop?user=u&options[a]=b"
        );
    }

    #[test]
    fn a_url_of_sqlite_names_a_file() {
        file("sqlite:shop.db", "shop.db");
        file("sqlite://shop.db", "shop.db");
        file("sqlite:///srv/my shop%20.db", "/srv/my shop%20.db");
        refused("sqlite:", "names no file");
        refused("sqlite::memory:", "each connection");
        refused("sqlite:shop.db?mode=rwc", "has parameters");
        refused("sqlite:shop.db?key=s3cr3t", "has parameters");
    }
}
