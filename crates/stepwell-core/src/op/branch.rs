//! Branches: several operations in sequence, as one member of a join or a race.

use super::{Op, Ready, Slot};
use crate::{BoxFuture, ctx::Ctx};

/// Several operations in sequence, with a numbering of their own.
#[derive(Debug)]
#[must_use = "operations do nothing unless they are run"]
pub struct Branch<F>(F);

/// Makes a member of a join or a race out of several operations.
///
/// They number below the member's position. In a race they take effect as they go, whether or not
/// the branch wins: only its end is raced for.
pub fn branch<S, F, Fut>(body: F) -> Branch<F>
where
    F: FnOnce(Ctx<S>) -> Fut + Send,
    Fut: Future + Send,
{
    Branch(body)
}

impl<S, F, Fut> Op<S> for Branch<F>
where
    S: Send + Sync + 'static,
    F: FnOnce(Ctx<S>) -> Fut + Send,
    Fut: Future + Send,
    Fut::Output: Send,
{
    type Output = Fut::Output;

    fn ready<'a>(self, at: Slot<S>) -> BoxFuture<'a, Ready<Fut::Output>>
    where
        Self: 'a,
    {
        Box::pin(async move { Ready::recorded((self.0)(at.into_ctx()).await) })
    }
}
