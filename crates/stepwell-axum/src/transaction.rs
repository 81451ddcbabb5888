//! [`transaction`] and [`transact`]: requests that are one transaction, without a workflow.

use stepwell_core::{Failure, Provide, Tx, TxError, TxOptions};

use crate::{
    problem::{AsProblem, Problem},
    store_timeout::StoreTimeout,
};

mod handler;

pub use handler::{TransactionRoute, TxHandler, transaction};

/// How often a transaction that another one was in the way of is run again.
const CONFLICTS_MAX: u32 = 10;

/// Runs a part of a handler's work in one transaction: committed if it returns a value, undone if it
/// returns an error, run again when another transaction was in the way. [`transaction`] makes a whole
/// handler of one.
///
/// It is not part of a workflow: a request that is sent twice runs it twice. For exactly once, make
/// it the transaction of a workflow.
///
/// ```
/// use axum::{Json, extract::State};
/// use stepwell::{App, SqliteTx, axum::Problem};
///
/// async fn restock(State(app): State<App<sqlx::SqlitePool>>) -> Result<Json<u64>, Problem> {
///     let restocked = stepwell::axum::transact(app.state(), async |mut tx: SqliteTx| {
///         let restock = sqlx::query("update products set stock = 100");
///         Ok(restock.execute(&mut tx).await?.rows_affected())
///     });
///     restocked.await.map(Json)
/// }
/// ```
///
/// # Errors
/// The failure as a [`Problem`]; 503 when no transaction can be begun in the 2.5 s of [`StoreTimeout`], or
/// when other transactions were in the way ten times. The body and the commit have no bound of their own;
/// [`StoreTimeout::bound`] gives one to what the body reads.
pub async fn transact<S, X, T, F, Fut>(state: &S, body: F) -> Result<T, Problem>
where
    S: Provide<X::Source>,
    X: Tx,
    F: FnMut(X) -> Fut,
    Fut: Future<Output = Result<T, Failure>>,
{
    transact_with(state, TxOptions::default(), body).await
}

/// As [`transact`], in a transaction that is begun as `options` say.
///
/// # Errors
/// As [`transact`]; 500 also when the options say `read_only` and the body has written.
pub async fn transact_with<S, X, T, F, Fut>(
    state: &S,
    options: TxOptions,
    body: F,
) -> Result<T, Problem>
where
    S: Provide<X::Source>,
    X: Tx,
    F: FnMut(X) -> Fut,
    Fut: Future<Output = Result<T, Failure>>,
{
    until_committed(state.provide(), options, StoreTimeout::default, body).await
}

/// `in_time` says how long to wait for the beginning of a transaction, and for the end of one that is
/// undone; a commit is waited for as long as it takes.
async fn until_committed<X, T, E, F, Fut>(
    source: &X::Source,
    options: TxOptions,
    in_time: impl Fn() -> StoreTimeout,
    mut body: F,
) -> Result<T, Problem>
where
    X: Tx,
    E: AsProblem,
    F: FnMut(X) -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    for _ in 0..CONFLICTS_MAX {
        let begin = async {
            let begun = X::begin(source, options).await;
            begun.map_err(|error| unusable(&error))
        };
        let (tx, home) = in_time().bound(begin).await?;
        match body(tx).await {
            Ok(value) => match X::commit_plain(home).await {
                Ok(()) => return Ok(value),
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(unusable(&error)),
            },
            Err(error) => {
                let conflict = X::conflict(&home);
                // One that is not answered is undone when its connection is closed.
                drop(tokio::time::timeout(in_time().0, X::rollback(home)).await);
                if !conflict {
                    return Err(error.as_problem());
                }
            }
        }
        tokio::task::yield_now().await;
    }
    let detail = "other transactions were in the way; try again";
    Err(Problem::new(http::StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1))
}

fn unusable(error: &TxError) -> Problem {
    if error.is_misuse() {
        tracing::error!(error = error.to_string(), "a transaction was misused");
        return Problem::internal();
    }
    tracing::warn!(error = error.to_string(), "a transaction could not be run");
    let detail = "the service is not available just now; try again";
    Problem::new(http::StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1)
}
