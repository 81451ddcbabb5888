//! What tests put in the place of steps.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{durable::Step, limits::InvalidInput, payload::Payload, workflow::Outcome};

type Mock = Arc<dyn Fn(u32) -> Result<Outcome, InvalidInput> + Send + Sync>;

/// The mocks of an executor, by the names of steps. Empty outside tests.
#[derive(Default)]
pub(crate) struct Mocks {
    any: AtomicBool,
    by_name: Mutex<HashMap<&'static str, Mock>>,
}

impl Mocks {
    /// Replaces a step.
    pub(crate) fn set<D: Step>(
        &self,
        mock: impl Fn(u32) -> Result<D::Output, D::Error> + Send + Sync + 'static,
    ) {
        let outcome = move |attempt| match mock(attempt) {
            Ok(value) => Payload::of_durable(&value, usize::MAX).map(Outcome::Ok),
            Err(error) => Payload::of_durable(&error, usize::MAX).map(Outcome::Err),
        };
        self.lock().insert(D::NAME, Arc::new(outcome));
        self.any.store(true, Ordering::SeqCst);
    }

    /// What a test wants this attempt of a step to come to.
    pub(crate) fn outcome(
        &self,
        name: &str,
        attempt: u32,
    ) -> Option<Result<Outcome, InvalidInput>> {
        if !self.any.load(Ordering::Relaxed) {
            return None;
        }
        let mock = self.lock().get(name).cloned()?;
        Some(mock(attempt))
    }

    /// Takes the mocks of the incarnation before.
    pub(crate) fn take_from(&self, before: &Self) {
        self.lock().clone_from(&before.lock());
        self.any
            .store(before.any.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<&'static str, Mock>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Mocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.lock().keys()).finish()
    }
}
