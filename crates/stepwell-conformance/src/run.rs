//! From the list of cases to the tests of a store.

use std::time::Duration;

/// How long a case may take; a store that hangs fails it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes a `#[tokio::test]` of every case, in modules named after the concerns:
/// `starts::a_start_here_runs_at_once_in_its_executor`.
///
/// The expression makes a [`Backend`](crate::Backend); each test evaluates it anew. The crate that
/// calls it needs `tokio` among its dependencies.
#[macro_export]
macro_rules! conformance {
    ($backend:expr $(,)?) => {
        $crate::every_case! { [$crate::__tests] ($backend) }
    };
}

/// Waits for one case. Called by the tests that [`conformance!`](crate::conformance) makes.
///
/// # Panics
/// If the case fails, or takes longer than a minute.
#[doc(hidden)]
pub async fn run(case: impl Future<Output = ()>) {
    let waited = tokio::time::timeout(PATIENCE, case).await;
    assert!(waited.is_ok(), "the case is not done after {PATIENCE:?}");
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    (($backend:expr) $($module:ident { $($case:ident)* })*) => {
        $(
            mod $module {
                #[allow(
                    unused_imports,
                    clippy::wildcard_imports,
                    reason = "the backend is made of what stands around the call"
                )]
                use super::*;

                $(
                    #[tokio::test]
                    async fn $case() {
                        let backend = $backend;
                        $crate::run($crate::$module::$case(&backend)).await;
                    }
                )*
            }
        )*
    };
}
