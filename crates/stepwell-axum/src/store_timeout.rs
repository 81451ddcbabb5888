//! [`StoreTimeout`]: how long a request waits for the database.

use std::time::Duration;

use http::{Extensions, StatusCode};

use crate::problem::Problem;

/// Below the 3 s after which the least patient provider of webhooks sends its event again.
const USUAL: Duration = Duration::from_millis(2_500);

/// How long a request waits for the database before it is answered 503 with `Retry-After`: 2.5 s
/// unless [`RequestLayer::store_timeout`](crate::RequestLayer::store_timeout) says otherwise. Found in
/// a request's extensions, for handlers of your own.
///
/// What was asked of the database may still happen: a start that was answered 503 is found by its
/// idempotency key when the request is sent again.
///
/// A commit has no bound: a process that gave it up would not know what became of it. A
/// [`transaction`](crate::transaction()) whose commit the database does not answer waits until the connection
/// breaks; settings of the system decide when that is (`tcp_user_timeout`, keepalives).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreTimeout(pub Duration);

impl Default for StoreTimeout {
    fn default() -> Self {
        Self(USUAL)
    }
}

impl StoreTimeout {
    /// The one of a request.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or_default()
    }

    /// Begins now; each call of the result returns what is left.
    pub(crate) fn running_out(self) -> impl Fn() -> Self {
        let began = tokio::time::Instant::now();
        move || Self(self.0.saturating_sub(began.elapsed()))
    }

    /// Waits for an answer of the database, and no longer than this.
    ///
    /// # Errors
    /// 503 when the time is over, else the answer's own error.
    pub async fn bound<T, E: Into<Problem>>(
        self,
        answer: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Problem> {
        match tokio::time::timeout(self.0, answer).await {
            Ok(answered) => answered.map_err(Into::into),
            Err(_) => {
                let waited_ms = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
                tracing::warn!(waited_ms, "the database did not answer in time");
                let detail = "the service is not available just now; try again";
                Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_database_that_is_silent_is_a_503_before_a_provider_loses_patience() {
        let began = tokio::time::Instant::now();
        let silent = std::future::pending::<Result<(), Problem>>();
        let problem = StoreTimeout::of(&Extensions::new()).bound(silent).await;
        assert_eq!(
            problem.unwrap_err().status(),
            StatusCode::SERVICE_UNAVAILABLE
        );
        assert!(began.elapsed() < Duration::from_secs(3));
        let answer = async { Ok::<_, Problem>(7) };
        assert_eq!(StoreTimeout::default().bound(answer).await.ok(), Some(7));
    }
}
