//! [`transaction`]: a handler that is one transaction.

use stepwell_core::{Failure, Provide, Tx, TxError};

use crate::problem::{AsProblem, Problem};

/// How often a transaction that another one was in the way of is run again.
const CONFLICTS_MAX: u32 = 10;

/// Runs a handler's work in one transaction: committed if it returns a value, undone if it returns
/// an error, run again when another transaction was in the way.
///
/// It is not part of a workflow: a request that is sent twice runs it twice. For exactly once, make
/// it the transaction of a workflow.
///
/// ```ignore
/// async fn restock(State(app): State<App<Shop>>) -> Result<Json<u64>, Problem> {
///     stepwell::axum::transaction(app.state(), async |mut tx: SqliteTx| {
///         Ok(sqlx::query("update products set stock = 100").execute(&mut tx).await?.rows_affected())
///     })
///     .await
///     .map(Json)
/// }
/// ```
///
/// # Errors
/// The failure as a [`Problem`]; 503 when the database does not answer.
pub async fn transaction<S, X, T, F, Fut>(state: &S, mut body: F) -> Result<T, Problem>
where
    S: Provide<X::Source>,
    X: Tx,
    F: FnMut(X) -> Fut,
    Fut: Future<Output = Result<T, Failure>>,
{
    for _ in 0..CONFLICTS_MAX {
        let (tx, home) = X::begin(state.provide())
            .await
            .map_err(|error| away(&error))?;
        let result = body(tx).await;
        match result {
            Ok(value) => {
                X::commit_plain(home).await.map_err(|error| away(&error))?;
                return Ok(value);
            }
            Err(failure) => {
                let conflict = X::conflict(&home);
                X::rollback(home).await;
                if !conflict {
                    return Err(failure.as_problem());
                }
            }
        }
        tokio::task::yield_now().await;
    }
    let detail = "other transactions were in the way; try again";
    Err(Problem::new(http::StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1))
}

fn away(error: &TxError) -> Problem {
    tracing::warn!(%error, "a transaction could not be run");
    let detail = "the service is not available just now; try again";
    Problem::new(http::StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1)
}
