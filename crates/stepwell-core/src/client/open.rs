//! A client without an application: for consoles, command lines and other programs that only steer.

use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Client, ClientCore, hear};
use crate::{
    clock::SystemClock,
    error::Error,
    journal::Journal,
    limits::PAYLOAD_BYTES_MAX_DEFAULT,
    observe::Observers,
    store::{Migrations, StoreUrl, open_store, read_migrations},
};

/// The tasks of a client without an engine: one writes the journal, one hears what others write. They
/// end with the last clone of the client, which alone hands anything in or waits.
#[derive(Debug)]
pub(super) struct Tasks {
    journal: Arc<Journal>,
    hearing: JoinHandle<()>,
}

impl Tasks {
    fn spawn(core: &ClientCore) -> Self {
        let written = Arc::clone(&core.journal);
        let never = CancellationToken::new();
        tokio::spawn(async move { written.write(never).await });
        Self {
            journal: Arc::clone(&core.journal),
            hearing: tokio::spawn(hear(Arc::clone(&core.store), Arc::clone(&core.hub))),
        }
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.journal.close();
        self.hearing.abort();
    }
}

impl Client {
    /// Opens the database at a URL, and makes it or brings its schema up to date as an application
    /// would. [`migrations`](Self::migrations) tells before that what would be changed.
    ///
    /// # Errors
    /// [`ErrorKind::Setup`](crate::ErrorKind::Setup) if the URL names no database that can be used,
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if it does not answer.
    pub async fn open(url: impl AsRef<str>) -> Result<Self, Error> {
        let url = StoreUrl::new(url.as_ref());
        let store = open_store(&url, Arc::new(SystemClock)).await;
        let store = store.map_err(|error| Error::of_opening(&format!("open `{url}`"), error))?;
        let mut core = ClientCore::new(store, PAYLOAD_BYTES_MAX_DEFAULT, Observers::default());
        core.tasks = Some(Tasks::spawn(&core));
        Ok(Self(Arc::new(core)))
    }

    /// How far the database at a URL is behind the schema that this program knows. Changes nothing
    /// and makes nothing: a file that is not there lacks every migration.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn migrations(url: impl AsRef<str>) -> Result<Migrations, Error> {
        let url = StoreUrl::new(url.as_ref());
        let read = read_migrations(&url).await;
        read.map_err(|error| Error::of_opening(&format!("look at the schema of `{url}`"), error))
    }

    /// What a person calls the database, without a password.
    #[must_use]
    pub fn database(&self) -> String {
        self.0.store.describe()
    }
}
