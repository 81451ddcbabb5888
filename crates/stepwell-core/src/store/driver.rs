//! From a URL to a store.

use std::sync::Arc;

use serde::Serialize;

use crate::clock::Clock;

use super::{Store, StoreError, StoreErrorKind, StoreFuture, StoreUrl};

/// Opens the database at a URL, migrated and ready. A store that keeps its own time takes it from
/// the clock; one whose server has a clock ignores it.
pub type OpenStore = for<'a> fn(&'a StoreUrl, Arc<dyn Clock>) -> StoreFuture<'a, Arc<dyn Store>>;

/// Reads which migrations the database at a URL has and lacks. Changes nothing and makes nothing.
pub type ReadMigrations = for<'a> fn(&'a StoreUrl) -> StoreFuture<'a, Migrations>;

/// How far a database is behind the schema that this program knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Migrations {
    /// The number of the last migration that was applied; 0 if there is nothing of Stepwell yet.
    pub applied: u32,
    /// What is to be applied, in this order.
    pub missing: Vec<Migration>,
}

/// One step of a schema to its newest form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Migration {
    /// Its number; the first is 1.
    pub number: u32,
    /// Its statements, the note that it was applied among them. Run in one transaction, by whatever
    /// means, they leave the database as if a store had applied it.
    pub sql: String,
}

/// A kind of store that is linked into this program.
///
/// Every store crate submits one, so that `App::builder(…).database(url)` finds it by the URL's
/// scheme without core knowing any database.
#[derive(Debug)]
pub struct StoreDriver {
    /// The schemes of its URLs: `sqlite`.
    pub schemes: &'static [&'static str],
    /// Opens a database.
    pub open: OpenStore,
    /// Looks at a database before it is opened.
    pub migrations: ReadMigrations,
}

inventory::collect!(StoreDriver);

/// Opens the store for a URL.
///
/// # Errors
/// If no linked store knows the scheme, or the database cannot be opened.
pub async fn open_store(
    url: &StoreUrl,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Store>, StoreError> {
    (driver(url)?.open)(url, clock).await
}

/// Reads which migrations the database at a URL has and lacks. Changes nothing and makes nothing.
///
/// # Errors
/// If no linked store knows the scheme, the database is not there, or is none of Stepwell's.
pub async fn read_migrations(url: &StoreUrl) -> Result<Migrations, StoreError> {
    (driver(url)?.migrations)(url).await
}

fn driver(url: &StoreUrl) -> Result<&'static StoreDriver, StoreError> {
    let scheme = url.scheme();
    let mut known = Vec::new();
    for driver in inventory::iter::<StoreDriver> {
        if driver.schemes.contains(&scheme) {
            return Ok(driver);
        }
        known.extend_from_slice(driver.schemes);
    }
    Err(StoreError::new(
        StoreErrorKind::Unusable,
        format!(
            "no store in this program opens `{url}`; the URL begins with one of: {}. \
             Other stores are features of the crate `stepwell`",
            known.join(":, ") + ":"
        ),
    ))
}
