//! Databases of a run: the user's, and one for each store.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use stepwell::{AnyPool, AnyTx};

/// Where a run keeps its things.
pub(crate) struct Place {
    pub(crate) pool: AnyPool,
    home: Home,
    stores: AtomicU32,
}

enum Home {
    Directory(tempfile::TempDir),
    Server(scratch::Database),
}

impl Place {
    pub(crate) async fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("users.db").display());
        let books = "create table books (id integer primary key, what text not null)";
        Self::open(&url, Home::Directory(directory), books).await
    }

    /// None, and a line that says so, without a server.
    pub(crate) async fn postgres() -> Option<Self> {
        let database = scratch::Database::new("identity")?;
        let url = database.url().to_owned();
        let books = "create table books (id bigserial primary key, what text not null)";
        Some(Self::open(&url, Home::Server(database), books).await)
    }

    async fn open(url: &str, home: Home, books: &'static str) -> Self {
        let pool = AnyPool::connect(url).await.unwrap();
        pool.execute_script(books).await.unwrap();
        AnyTx::make_witness_table(&pool).await.unwrap();
        Self {
            pool,
            home,
            stores: AtomicU32::new(0),
        }
    }

    /// The address of one more store.
    pub(crate) fn store(&self) -> String {
        let number = self.stores.fetch_add(1, Relaxed);
        match &self.home {
            Home::Directory(directory) => {
                let file = directory.path().join(format!("store-{number}.db"));
                format!("sqlite:{}", file.display())
            }
            Home::Server(database) => format!("{}?schema=store_{number}", database.url()),
        }
    }
}
