//! Timeouts: an operation against a deadline, recorded like any race.

use std::time::Duration;

use super::{
    Op, Ready, Slot,
    branch::Branch,
    event::GetEvent,
    message::{Recv, RecvBatch},
    race::{Race2, RaceOps},
    sleep::{Sleep, sleep},
    step::{AdHoc, StepCall},
};
use crate::{
    BoxFuture,
    call::Call,
    durable::{Step, Workflow},
    handle::Handle,
};

/// An operation with a time limit: `Some(output)`, or `None` when the time is up.
#[derive(Debug)]
#[must_use = "operations do nothing unless they are run"]
pub struct Timeout<O> {
    op: O,
    limit: Duration,
}

impl<O> Timeout<O> {
    pub(crate) fn new(op: O, limit: Duration) -> Self {
        Self { op, limit }
    }
}

impl<S: Send + Sync + 'static, O: Op<S>> Op<S> for Timeout<O> {
    type Output = Option<O::Output>;

    fn leaves_witness(&self) -> bool {
        self.op.leaves_witness()
    }

    fn ready<'a>(self, at: Slot<S>) -> BoxFuture<'a, Ready<Self::Output>>
    where
        Self: 'a,
    {
        let race: BoxFuture<'a, Ready<Race2<O::Output, ()>>> =
            (self.op, sleep(self.limit)).race(at);
        Box::pin(async move {
            race.await.map(|winner| match winner {
                Race2::A(output) => Some(output),
                Race2::B(()) => None,
            })
        })
    }
}

/// Gives an operation a time limit where it is made, for joins and races.
pub trait OpExt: Sized {
    /// `Some(output)`, or `None` when the time is up. The deadline is durable; the operation that
    /// was too slow is dropped.
    fn timeout(self, limit: Duration) -> Timeout<Self> {
        Timeout::new(self, limit)
    }
}

impl<T> OpExt for Recv<T> {}
impl<T> OpExt for RecvBatch<T> {}
impl<T> OpExt for GetEvent<T> {}
impl<W: Workflow> OpExt for Call<W> {}
impl<W: Workflow> OpExt for Handle<W> {}
impl<S, T> OpExt for Branch<'_, S, T> {}
impl<S, D: Step> OpExt for StepCall<'_, S, D> {}
impl<T, E> OpExt for AdHoc<'_, T, E> {}
impl OpExt for Sleep {}
