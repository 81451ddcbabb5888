//! How many streams an application has open.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use http::StatusCode;

use crate::problem::Problem;

/// After how many seconds a client that found no place tries again.
const RETRY_AFTER_S: u32 = 5;

/// The streams that an application has open, on all its routes.
#[derive(Debug, Default)]
pub(super) struct Places(Arc<AtomicUsize>);

/// The place of one stream, until it is dropped.
#[derive(Debug)]
pub(super) struct StreamPlace(Arc<AtomicUsize>);

impl Places {
    /// Takes a place, if fewer than `most` are taken.
    ///
    /// # Errors
    /// 503 if there is none.
    pub(super) fn take(&self, most: usize) -> Result<StreamPlace, Problem> {
        let place = StreamPlace(Arc::clone(&self.0));
        // Counted before it is compared: two that come together cannot both be the last one.
        if self.0.fetch_add(1, Ordering::Relaxed) < most {
            return Ok(place);
        }
        let detail = "as many event streams are open as may be; try again later";
        Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(RETRY_AFTER_S))
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
