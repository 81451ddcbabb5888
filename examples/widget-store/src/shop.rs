//! The shop: the state that the workflows share, and its database.

use std::{path::PathBuf, time::Duration};

use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use stepwell::{Failure, bail};

use crate::crash::CrashSwitch;

const SCHEMA: &str = include_str!("schema.sql");

/// How many parts an order is shipped in: what the column `progress_remaining` begins with.
pub(crate) const PARTS: u32 = 10;

/// How many widgets fit on the shelf.
pub(crate) const SHELF: i64 = 100;

/// What the workflows and the endpoints work with.
#[derive(Debug, stepwell::State)]
pub struct Shop {
    /// The shop's own database: products and orders, and no workflows.
    #[provide]
    pub db: SqlitePool,
    /// The crash button.
    #[provide]
    pub crash: CrashSwitch,
    /// How long one of the ten parts of a dispatch takes.
    pub dispatch_pause: Duration,
    /// How long a customer has to pay.
    pub payment_timeout: Duration,
}

impl Shop {
    /// Opens the database at `sqlite:path` and makes the tables and the first widgets if they are
    /// not there.
    ///
    /// # Errors
    /// A sentence that names the URL, if it is none of SQLite or the file cannot be used.
    pub async fn open(url: &str) -> stepwell::Result<Self> {
        let file = database_file(url)?;
        let options = SqliteConnectOptions::new()
            .filename(&file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A commit is on the disk before Stepwell records it: it survives a power cut too.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5));
        let opened = SqlitePoolOptions::new()
            .max_connections(4)
            .connect_with(options)
            .await;
        let unusable = |error: sqlx::Error| {
            let what = format!(
                "the shop's database `{}` cannot be used; set DATABASE_URL=sqlite:path to a file \
                 in a directory that exists and can be written",
                file.display()
            );
            Failure::from(error).context(what)
        };
        let db = opened.map_err(unusable)?;
        sqlx::raw_sql(SCHEMA).execute(&db).await.map_err(unusable)?;
        Ok(Self {
            db,
            crash: CrashSwitch::default(),
            dispatch_pause: Duration::from_secs(1),
            payment_timeout: Duration::from_secs(120),
        })
    }
}

/// The file that a URL names: `sqlite:path` or `sqlite://path`, taken as it stands.
///
/// # Errors
/// If it is no URL of SQLite, or names no file: what is in memory alone does not survive a crash.
pub fn database_file(url: &str) -> stepwell::Result<PathBuf> {
    let Some(rest) = url.strip_prefix("sqlite:") else {
        bail!("DATABASE_URL is `{url}`, which is no SQLite database; write `sqlite:shop.db`");
    };
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.is_empty() || path == ":memory:" || path.contains('?') {
        bail!(
            "DATABASE_URL is `{url}`, which names no file to survive a crash in; write \
             `sqlite:shop.db`"
        );
    }
    Ok(PathBuf::from(path))
}
