//! Joins: several operations at once, all awaited. Members are numbered by their place, so timing
//! changes nothing.

use futures_util::future::join_all;

use super::{Op, Ready, Slot};
use crate::BoxFuture;

/// A tuple of two to eight operations.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be joined in a workflow with state `{S}`",
    note = "join a tuple of two to eight operations: `ctx.join((book(\"hotel\"), book(\"flight\")))`; \
            for any number of the same kind use `ctx.join_all(…)`"
)]
pub trait JoinOps<S>: Send {
    /// The outputs, in the order of the operations.
    type Output: Send;

    /// Runs all of them.
    #[doc(hidden)]
    fn join<'a>(self, at: Slot<S>) -> BoxFuture<'a, Self::Output>
    where
        Self: 'a;
}

macro_rules! join {
    ($($member:ident $number:tt),*) => {
        impl<S: Send + Sync + 'static, $($member: Op<S>),*> JoinOps<S> for ($($member,)*) {
            type Output = ($($member::Output,)*);

            fn join<'a>(self, at: Slot<S>) -> BoxFuture<'a, Self::Output>
            where
                Self: 'a,
            {
                let at = at.of_members();
                Box::pin(async move {
                    futures_util::join!($(run(self.$number, at.child($number))),*)
                })
            }
        }
    };
}

join!(A 0, B 1);
join!(A 0, B 1, C 2);
join!(A 0, B 1, C 2, D 3);
join!(A 0, B 1, C 2, D 3, E 4);
join!(A 0, B 1, C 2, D 3, E 4, F 5);
join!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
join!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);

/// Runs an operation at a position, its commit included.
pub(crate) fn run<'a, S, O>(op: O, at: Slot<S>) -> BoxFuture<'a, O::Output>
where
    S: Send + Sync + 'static,
    O: Op<S> + 'a,
{
    let run = std::sync::Arc::clone(&at.run);
    let ready: BoxFuture<'a, Ready<O::Output>> = op.ready(at);
    Box::pin(async move {
        let ready = ready.await;
        // A cancelled step may still end within its grace period; the workflow goes no further.
        run.stop_if_lost().await;
        ready.commit(&run)
    })
}

/// Runs any number of operations of one kind.
pub(crate) async fn all<S, O>(ops: impl Iterator<Item = O>, at: Slot<S>) -> Vec<O::Output>
where
    S: Send + Sync + 'static,
    O: Op<S>,
{
    let at = at.of_members();
    let members: Vec<_> = ops
        .enumerate()
        .map(|(number, op)| run(op, at.child(number)))
        .collect();
    join_all(members).await
}
