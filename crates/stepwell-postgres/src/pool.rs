//! A few connections that are handed out one at a time, made when they are needed.

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    connection::{Connection, Role},
    error::Failure,
    server::Server,
};

/// How long a job waits for a connection.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// A few connections.
pub(crate) struct Pool {
    server: Arc<Server>,
    places: Semaphore,
    /// Connected and free. The one that was used last is used next.
    free: Mutex<Vec<Connection>>,
}

impl Pool {
    pub(crate) fn new(server: Arc<Server>, connections_max: usize) -> Self {
        Self {
            server,
            places: Semaphore::new(connections_max),
            free: Mutex::default(),
        }
    }

    /// Waits for a place and hands a connection out. One that died is replaced: after the server
    /// was restarted, every one of them once.
    pub(crate) async fn take(&self) -> Result<Taken<'_>, Failure> {
        let place = tokio::time::timeout(WAIT_MAX, self.places.acquire());
        let place = place
            .await
            .map_err(|_| Failure::Late("every connection is busy"))?
            .map_err(|_| Failure::Late("the store is closed"))?;
        let connection = match self.next_free() {
            Some(connection) => connection,
            None => Connection::open(Arc::clone(&self.server), Role::Work)
                .await
                .map_err(Failure::of_reconnecting)?,
        };
        Ok(Taken {
            pool: self,
            connection,
            _place: place,
        })
    }

    /// Closes those that are free: the next jobs connect anew.
    pub(crate) fn forget(&self) {
        self.free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    fn next_free(&self) -> Option<Connection> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.retain(|connection| !connection.is_closed());
        free.pop()
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("places", &self.places.available_permits())
            .finish_non_exhaustive()
    }
}

/// A connection that is in use. If it is dropped before it is given back, it is closed: its user
/// has gone away in the middle of something, and the server undoes what was not committed.
pub(crate) struct Taken<'p> {
    pool: &'p Pool,
    connection: Connection,
    _place: SemaphorePermit<'p>,
}

impl Taken<'_> {
    /// Gives the connection back after its job, however that ended.
    pub(crate) async fn give_back(self) {
        if self.connection.roll_back().await {
            let mut free = (self.pool.free.lock()).unwrap_or_else(PoisonError::into_inner);
            free.push(self.connection);
        }
    }
}

impl Deref for Taken<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}
