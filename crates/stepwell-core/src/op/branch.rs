//! Branches: several operations in sequence, as one member of a join or a race.

use std::fmt;

use super::{Op, Ready, Slot};
use crate::{BoxFuture, ctx::Ctx};

/// Several operations in sequence, with a numbering of their own.
///
/// The body is boxed at once: what the compiler has to prove about a join or a race then names no
/// closure, which keeps its messages short and its incremental builds sound.
#[must_use = "operations do nothing unless they are run"]
pub struct Branch<'op, S, T> {
    body: Box<dyn FnOnce(Ctx<S>) -> BoxFuture<'op, T> + Send + 'op>,
}

/// Makes a member of a join or a race out of several operations.
///
/// They number below the member's position. In a race they take effect as they go, whether or not
/// the branch wins: only its end is raced for.
pub fn branch<'op, S, F, Fut>(body: F) -> Branch<'op, S, Fut::Output>
where
    F: FnOnce(Ctx<S>) -> Fut + Send + 'op,
    Fut: Future + Send + 'op,
{
    Branch {
        body: Box::new(move |ctx| Box::pin(body(ctx))),
    }
}

impl<S, T> fmt::Debug for Branch<'_, S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Branch").finish_non_exhaustive()
    }
}

impl<S: Send + Sync + 'static, T: Send> Op<S> for Branch<'_, S, T> {
    type Output = T;

    fn ready<'a>(self, at: Slot<S>) -> BoxFuture<'a, Ready<T>>
    where
        Self: 'a,
    {
        Box::pin(async move { Ready::recorded((self.body)(at.into_ctx()).await) })
    }
}
