//! A thread of the store's own, for what a lease stands on.
//!
//! The bytes of a connection are moved by a task of the runtime on which it was opened. If that is the
//! application's, a step that blocks its threads holds up the renewal of the lease.

use std::{fmt, thread};

use stepwell_core::store::{StoreError, StoreErrorKind, StoreFuture};
use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};
use tokio_util::task::AbortOnDropHandle;

use crate::error::Failure;

/// A thread with a runtime. Dropped, it ends, and what runs there with it.
pub(crate) struct Apart {
    runtime: Handle,
    /// Never sent: the thread waits until it is dropped.
    _needed: oneshot::Sender<()>,
}

impl Apart {
    pub(crate) fn start() -> Result<Self, Failure> {
        let failed = |error| Failure::Unusable(format!("no thread could be started ({error})"));
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let handle = runtime.handle().clone();
        let (_needed, needed) = oneshot::channel();
        thread::Builder::new()
            .name("stepwell-postgres-lease".to_owned())
            .spawn(move || {
                // It ends with an error, when the store is dropped.
                let _: Result<(), _> = runtime.block_on(needed);
            })
            .map_err(failed)?;
        Ok(Self {
            runtime: handle,
            _needed,
        })
    }

    /// Runs a job there. If the answer is not waited for any more, the job is dropped.
    pub(crate) fn run<'a, T: Send + 'static>(
        &'a self,
        job: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> StoreFuture<'a, T> {
        Box::pin(async move {
            let job = AbortOnDropHandle::new(self.runtime.spawn(job));
            job.await.unwrap_or_else(|error| {
                let message = "the thread that keeps the lease did not end its job";
                Err(StoreError::new(StoreErrorKind::Unavailable, message).with_source(error))
            })
        })
    }
}

impl fmt::Debug for Apart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Apart").finish_non_exhaustive()
    }
}
