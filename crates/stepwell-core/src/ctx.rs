//! [`Ctx`]: the position of a running workflow, and the operations that it runs.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    BoxFuture,
    call::Call,
    durable::{Durable, DurableError, HasState, Provide, Result, Workflow},
    failure::Failure,
    handle::Handle,
    id::WorkflowKey,
    names::{Event, Stream, Topic},
    op::{
        Op, Slot,
        child::Start,
        event::{self, GetEvent},
        join::{self, JoinOps},
        message::{self, Recv, RecvBatch},
        once::Once,
        race::RaceOps,
        retry::Retry,
        sleep::{self, Sleep},
        step::{AdHoc, Attempt, Retryable},
        timeout::Timeout,
        transaction::AdHocTx,
        write::Write,
    },
    position::Position,
    run::{Abandoned, Run},
    tx::{Isolation, Tx},
    workflow::RecordKind,
};

/// The position of a running workflow.
///
/// It cannot be cloned, and every operation borrows it until it has ended: so operations of one
/// context come one after the other, in the same order on every replay. For several at once there
/// are [`join`](Self::join), [`join_all`](Self::join_all), `stepwell::select!` and
/// [`branch`](crate::branch). Trouble of the engine (a lost database, a take-over, a cancellation)
/// is no value here: the workflow's future is dropped where it stands.
#[derive(Debug)]
pub struct Ctx<S = ()> {
    run: Arc<Run>,
    state: Arc<S>,
    above: Option<Position>,
    next: u32,
}

impl<S: Send + Sync + 'static> Ctx<S> {
    pub(crate) fn new(run: Arc<Run>, state: Arc<S>) -> Self {
        Self {
            run,
            state,
            above: None,
            next: 0,
        }
    }

    pub(crate) fn below(run: Arc<Run>, state: Arc<S>, above: Position) -> Self {
        Self {
            run,
            state,
            above: Some(above),
            next: 0,
        }
    }

    fn position(&self) -> Position {
        match &self.above {
            None => Position::top(self.next),
            Some(above) => above.child(self.next),
        }
    }

    fn slot(&mut self) -> Slot<S> {
        let position = self.position();
        self.next += 1;
        Slot {
            run: Arc::clone(&self.run),
            state: Arc::clone(&self.state),
            position,
            race: None,
        }
    }

    fn exec<'a, O: Op<S> + 'a>(&'a mut self, op: O) -> BoxFuture<'a, O::Output> {
        let slot = self.slot();
        let (run, position) = (Arc::clone(&slot.run), slot.position.clone());
        let running = join::run(op, slot);
        Box::pin(async move {
            let abandoned = Abandoned::watch(run, position);
            let output = running.await;
            abandoned.completed();
            output
        })
    }

    pub(crate) fn key(&self) -> WorkflowKey {
        self.run.key
    }

    /// The workflow's id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.run.id.as_str()
    }

    /// The application's state. Bind it before an ad-hoc step that needs it.
    #[must_use]
    pub fn state(&self) -> Arc<S> {
        Arc::clone(&self.state)
    }

    /// Workflows by id, for steps that read or steer others. What it says may be another thing on each
    /// replay: ask it within a step.
    #[must_use]
    pub fn client(&self) -> crate::Client {
        self.run.engine.client.clone()
    }

    /// Runs one operation: a call of a `#[step]`, a `#[transaction]` or a child `#[workflow]`, or a
    /// value such as [`sleep`](crate::sleep).
    pub fn run<O: Op<S>>(&mut self, op: O) -> Bound<'_, S, O> {
        Bound { ctx: self, op }
    }

    /// Runs a step that is written as a closure. It may run again after a crash, and never once it
    /// is recorded.
    pub fn step<'c, T, F, Fut>(
        &'c mut self,
        name: &'static str,
        body: F,
    ) -> Bound<'c, S, AdHoc<'c, T, Failure>>
    where
        T: Durable,
        F: FnMut() -> Fut + Send + 'c,
        Fut: Future<Output = Result<T>> + Send + 'c,
    {
        self.typed_step(name, body)
    }

    /// A step as a closure with an error type of its own.
    pub fn typed_step<'c, T, E, F, Fut>(
        &'c mut self,
        name: &'static str,
        mut body: F,
    ) -> Bound<'c, S, AdHoc<'c, T, E>>
    where
        T: Durable,
        E: DurableError,
        F: FnMut() -> Fut + Send + 'c,
        Fut: Future<Output = Result<T, E>> + Send + 'c,
    {
        self.run(AdHoc::new(name, Box::new(move |_| Box::pin(body()))))
    }

    /// A step as a closure that is handed its [`Attempt`]: the idempotency key to pass on, the
    /// attempt's number, the cancellation.
    pub fn step_attempt<'c, T, E, F, Fut>(
        &'c mut self,
        name: &'static str,
        mut body: F,
    ) -> Bound<'c, S, AdHoc<'c, T, E>>
    where
        T: Durable,
        E: DurableError,
        F: FnMut(Attempt) -> Fut + Send + 'c,
        Fut: Future<Output = Result<T, E>> + Send + 'c,
    {
        self.run(AdHoc::new(
            name,
            Box::new(move |attempt| Box::pin(body(attempt))),
        ))
    }

    /// Runs a transaction that is written as a closure, exactly once. See
    /// [`isolation`](Bound::isolation) and [`read_only`](Bound::read_only).
    pub fn tx<'c, X, T, F, Fut>(
        &'c mut self,
        name: &'static str,
        mut body: F,
    ) -> Bound<'c, S, AdHocTx<'c, S, X, T>>
    where
        X: Tx,
        T: Durable,
        S: Provide<X::Source>,
        F: FnMut(X) -> Fut + Send + 'c,
        Fut: Future<Output = Result<T>> + Send + 'c,
    {
        self.run(AdHocTx::new(
            name,
            Box::new(move |_, tx| Box::pin(body(tx))),
        ))
    }

    /// Waits for a time. The instant is durable.
    pub fn sleep(&mut self, duration: Duration) -> Bound<'_, S, Sleep> {
        self.run(sleep::sleep(duration))
    }

    /// Receives the oldest message of a topic, waiting for it if there is none.
    pub fn recv<T: Durable>(&mut self, topic: Topic<T>) -> Bound<'_, S, Recv<T>> {
        self.run(message::recv(topic))
    }

    /// Receives all messages of a topic that are there, the oldest first, waiting for the first one:
    /// at most `at_most`, and no more than fit one payload. See
    /// [`App::start_and_send`](crate::App::start_and_send).
    pub fn recv_batch<T: Durable>(
        &mut self,
        topic: Topic<T>,
        at_most: u32,
    ) -> Bound<'_, S, RecvBatch<T>> {
        self.run(message::recv_batch(topic, at_most))
    }

    /// Sends a message to a workflow, once. If there is no such workflow, or it has ended, the message is
    /// lost: the record of the send has failed and says why, and so does the log.
    pub async fn send<T: Durable>(&mut self, id: &str, topic: Topic<T>, message: T) {
        let send = Write::message(id, topic, &message, self.bytes_max());
        drop(message);
        self.exec(send).await;
    }

    /// Publishes a value, in place of the one before.
    pub async fn set_event<T: Durable>(&mut self, event: Event<T>, value: T) {
        let set = Write::event(event, &value, self.bytes_max());
        drop(value);
        self.exec(set).await;
    }

    /// Waits until another workflow has published a value.
    pub fn get_event<T: Durable>(
        &mut self,
        id: impl Into<String>,
        event: Event<T>,
    ) -> Bound<'_, S, GetEvent<T>> {
        self.run(event::get_event(id, event))
    }

    /// Appends a value to a stream of this workflow, for others to read while it runs.
    pub async fn append<T: Durable>(&mut self, stream: Stream<T>, value: T) {
        let append = Write::entry(stream, &value, self.bytes_max());
        drop(value);
        self.exec(append).await;
    }

    /// Sets an attribute of this workflow that lists can be filtered by.
    pub async fn set_attribute(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let set = Write::attribute(name.into(), value.into());
        self.exec(set).await;
    }

    /// Starts a child without awaiting it. Its id, unless given, is made of this workflow's id and
    /// the position. It is cancelled with this workflow unless it is detached.
    pub async fn start<W: Workflow>(&mut self, call: Call<W>) -> Handle<W>
    where
        S: HasState<W::State>,
    {
        self.exec(Start(call)).await
    }

    /// Runs two to eight operations at once and waits for all of them.
    pub async fn join<J: JoinOps<S>>(&mut self, ops: J) -> J::Output {
        let slot = self.slot();
        let abandoned = Abandoned::watch(Arc::clone(&slot.run), slot.position.clone());
        let outputs = ops.join(slot).await;
        abandoned.completed();
        outputs
    }

    /// Runs any number of operations of one kind at once and waits for all of them.
    pub async fn join_all<O: Op<S>>(&mut self, ops: impl IntoIterator<Item = O>) -> Vec<O::Output> {
        let slot = self.slot();
        let abandoned = Abandoned::watch(Arc::clone(&slot.run), slot.position.clone());
        let ops: Vec<O> = ops.into_iter().collect();
        let outputs = join::all(ops.into_iter(), slot).await;
        abandoned.completed();
        outputs
    }

    /// Runs two to eight operations at once; the first to be ready wins, the others are dropped.
    /// `stepwell::select!` reads better.
    pub async fn race<R: RaceOps<S>>(&mut self, ops: R) -> R::Output {
        let slot = self.slot();
        let run = Arc::clone(&slot.run);
        let abandoned = Abandoned::watch(Arc::clone(&run), slot.position.clone());
        let ready = ops.race(slot).await;
        run.stop_if_lost().await;
        let output = ready.commit(&run);
        abandoned.completed();
        output
    }

    /// The time by the store's clock; the same on every replay.
    pub async fn now(&mut self) -> Timestamp {
        self.exec(Once {
            kind: RecordKind::Now,
            make: |run| run.engine.client.now(),
        })
        .await
    }

    /// A random number; the same on every replay.
    pub async fn random(&mut self) -> u64 {
        self.exec(Once {
            kind: RecordKind::Random,
            make: |_| rand::random(),
        })
        .await
    }

    /// A random UUID (version 4); the same on every replay.
    pub async fn uuid(&mut self) -> uuid::Uuid {
        self.exec(Once {
            kind: RecordKind::Uuid,
            make: |_| uuid::Uuid::new_v4(),
        })
        .await
    }

    /// Guards a change of the code: false in a run that had gone past this point before the change
    /// was there, true in every other.
    ///
    /// ```ignore
    /// if ctx.patched("charge-before-shipping").await {
    ///     ctx.run(charge()).await?;
    /// }
    /// ```
    pub async fn patched(&mut self, name: &'static str) -> bool {
        let position = self.position();
        let new_path = self.run.history(|history| match history.peek(&position) {
            Some(record) => record.kind == RecordKind::Patch && record.name == name,
            None => !history.goes_on_at(&position),
        });
        if new_path {
            self.exec(crate::op::once::Patch(name)).await;
        }
        new_path
    }

    fn bytes_max(&self) -> usize {
        self.run.engine.config.payload_bytes_max
    }
}

/// An operation that is bound to its context; `.await` runs it.
#[derive(Debug)]
#[must_use = "operations do nothing unless awaited"]
pub struct Bound<'c, S, O> {
    ctx: &'c mut Ctx<S>,
    op: O,
}

impl<'c, S: Send + Sync + 'static, O: Op<S> + 'c> IntoFuture for Bound<'c, S, O> {
    type Output = O::Output;
    type IntoFuture = BoxFuture<'c, O::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.ctx.exec(self.op)
    }
}

impl<'c, S, O> Bound<'c, S, O> {
    /// `Some(output)`, or `None` when the time is up. The deadline is durable; an operation that is
    /// too slow is dropped. A transaction whose commit was sent is waited for, and wins if it happened:
    /// `None` says that it was not committed.
    pub fn timeout(self, limit: Duration) -> Bound<'c, S, Timeout<O>> {
        Bound {
            ctx: self.ctx,
            op: Timeout::new(self.op, limit),
        }
    }

    /// Tries the operation again when it fails.
    pub fn retry<E>(self, retry: Retry<E>) -> Self
    where
        O: Retryable<E>,
    {
        Bound {
            ctx: self.ctx,
            op: self.op.retry(retry),
        }
    }
}

impl<'c, S, X: Tx, T> Bound<'c, S, AdHocTx<'c, S, X, T>> {
    /// Isolates the transaction at least so much from others that run at the same time. What
    /// conflicts with another one is undone and runs again.
    pub fn isolation(self, isolation: Isolation) -> Self {
        Self {
            ctx: self.ctx,
            op: self.op.isolation(isolation),
        }
    }

    /// Lets the transaction read only. It keeps no witness: like a step, it may run again after a
    /// crash, and never once it is recorded.
    pub fn read_only(self) -> Self {
        Self {
            ctx: self.ctx,
            op: self.op.read_only(),
        }
    }
}
