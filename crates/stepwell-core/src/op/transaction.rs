//! Transactions in the user's database: exactly once, by the witness that commits with them.
//!
//! In a race it either wins or is not committed: once it has been sent to the database, the race waits
//! for what comes of it, and where another run may have been committed, a loser leaves a witness too.
//!
//! One that only reads leaves no witness. It is recorded as a step is, and may run again until then.

mod left;
mod run;
mod sent;
mod way;

use std::{fmt, sync::Arc};

use super::{Op, Ready, Slot};
use crate::{
    BoxFuture,
    durable::{Durable, Provide, Step},
    failure::Failure,
    tx::{Isolation, Tx, TxOptions},
};

type Body<'op, S, X, T, E> = Box<dyn FnMut(Arc<S>, X) -> BoxFuture<'op, Result<T, E>> + Send + 'op>;

/// The user's code, and how the transactions are begun that it runs in.
struct Code<'op, S, X: Tx, T, E> {
    name: &'static str,
    options: TxOptions,
    body: Body<'op, S, X, T, E>,
}

/// A call of a `#[transaction]`.
#[must_use = "a call does nothing until it is run: `ctx.run(…).await`"]
pub struct TxCall<'op, S, X: Tx, D: Step> {
    code: Code<'op, S, X, D::Output, D::Error>,
}

impl<'op, S, X: Tx, D: Step> TxCall<'op, S, X, D> {
    /// Made by `#[transaction]`.
    #[doc(hidden)]
    pub fn new(
        options: TxOptions,
        body: impl FnMut(Arc<S>, X) -> BoxFuture<'op, Result<D::Output, D::Error>> + Send + 'op,
    ) -> Self {
        let code = Code {
            name: D::NAME,
            options,
            body: Box::new(body),
        };
        Self { code }
    }
}

impl<S, X: Tx, D: Step> fmt::Debug for TxCall<'_, S, X, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TxCall")
            .field("transaction", &D::NAME)
            .finish_non_exhaustive()
    }
}

impl<'op, S, X: Tx, D: Step> Op<S> for TxCall<'op, S, X, D>
where
    S: Send + Sync + 'static + Provide<X::Source>,
{
    type Output = Result<D::Output, D::Error>;

    fn ready<'a>(self, at: Slot<S>) -> BoxFuture<'a, Ready<Self::Output>>
    where
        Self: 'a,
    {
        Box::pin(run::run(at, self.code))
    }

    fn leaves_witness(&self) -> bool {
        !self.code.options.read_only
    }
}

/// A transaction that is written as a closure.
#[must_use = "operations do nothing unless they are run"]
pub struct AdHocTx<'op, S, X: Tx, T> {
    code: Code<'op, S, X, T, Failure>,
}

impl<'op, S, X: Tx, T> AdHocTx<'op, S, X, T> {
    pub(crate) fn new(name: &'static str, body: Body<'op, S, X, T, Failure>) -> Self {
        let code = Code {
            name,
            options: TxOptions::default(),
            body,
        };
        Self { code }
    }

    pub(crate) fn isolation(mut self, isolation: Isolation) -> Self {
        self.code.options.isolation = Some(isolation);
        self
    }

    pub(crate) fn read_only(mut self) -> Self {
        self.code.options.read_only = true;
        self
    }
}

impl<S, X: Tx, T> fmt::Debug for AdHocTx<'_, S, X, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdHocTx")
            .field("transaction", &self.code.name)
            .finish_non_exhaustive()
    }
}

impl<'op, S, X: Tx, T: Durable> Op<S> for AdHocTx<'op, S, X, T>
where
    S: Send + Sync + 'static + Provide<X::Source>,
{
    type Output = Result<T, Failure>;

    fn ready<'a>(self, at: Slot<S>) -> BoxFuture<'a, Ready<Self::Output>>
    where
        Self: 'a,
    {
        Box::pin(run::run(at, self.code))
    }

    fn leaves_witness(&self) -> bool {
        !self.code.options.read_only
    }
}
