//! The victim's own workflows. Their steps write what they did to the log, their transactions to the
//! shop's table `applied`, which nothing keeps unique.

use std::time::Duration;

use crash_tests::log::operation;
use rustix::process::Signal;
use stepwell::{
    AnyTx, Attempt, Ctx, Event, Queue, Retry, Stream, Topic, recv, select, sleep, step,
    transaction, workflow,
};
use widget_store::shop::Shop;

use crate::{
    span::{self, Span},
    strike,
};

/// What `everything` waits for.
pub(crate) const GO: Topic<u64> = Topic::new("go");

const NEVER: Topic<u64> = Topic::new("never");
const SEEN: Event<u64> = Event::new("seen");
const LINES: Stream<u64> = Stream::new("lines");

/// A step that answers its argument.
#[step]
async fn count(#[attempt] attempt: &Attempt, n: u64) -> stepwell::Result<u64> {
    let _span = Span::enter(operation(attempt.idempotency_key()));
    Ok(n)
}

/// A step that fails at its first attempt.
#[step]
async fn stumble(#[attempt] attempt: &Attempt, n: u64) -> stepwell::Result<u64> {
    if attempt.number() == 1 {
        stepwell::bail!("it stumbles");
    }
    let _span = Span::enter(operation(attempt.idempotency_key()));
    Ok(n)
}

/// A step that takes a while.
#[step]
async fn link(#[attempt] attempt: &Attempt, millis: u64) -> stepwell::Result<()> {
    let _span = Span::enter(operation(attempt.idempotency_key()));
    tokio::time::sleep(Duration::from_millis(millis)).await;
    Ok(())
}

/// A step that waits until the test lets it go on.
#[step]
async fn gate(#[attempt] attempt: &Attempt) -> stepwell::Result<()> {
    let _span = Span::enter(operation(attempt.idempotency_key()));
    span::gate().await;
    Ok(())
}

/// A step that kills its process, until the test has cured it.
#[step]
async fn poison(#[attempt] attempt: &Attempt) -> stepwell::Result<()> {
    let _span = Span::enter(operation(attempt.idempotency_key()));
    if !span::gate_is_open() {
        strike::send(Signal::KILL);
    }
    Ok(())
}

/// A step that fails until the test has cured it.
#[step]
async fn crack(#[attempt] attempt: &Attempt) -> stepwell::Result<()> {
    let _span = Span::enter(operation(attempt.idempotency_key()));
    if !span::gate_is_open() {
        stepwell::bail!("it cracks");
    }
    Ok(())
}

/// A transaction that leaves a row each time it is applied, and fails where it has been: run again
/// behind the first run, it says so, and beside it, it leaves a second row.
#[transaction]
async fn apply(tx: &mut AnyTx, workflow_id: &str, what: &str) -> stepwell::Result<u64> {
    let before = "select count(*) from applied where workflow_id = $1 and operation = $2";
    let before = sqlx::query_scalar(before).bind(workflow_id).bind(what);
    let before: i64 = before.fetch_one(&mut *tx).await?;
    if before > 0 {
        stepwell::bail!("`{what}` of `{workflow_id}` was applied before");
    }
    sqlx::query("insert into applied (workflow_id, operation) values ($1, $2)")
        .bind(workflow_id)
        .bind(what)
        .execute(&mut *tx)
        .await?;
    Ok(1)
}

/// An operation of every kind.
#[workflow]
pub(crate) async fn everything(ctx: &mut Ctx<Shop>) -> stepwell::Result<u64> {
    let _body = Span::enter(format!("{}:body", ctx.id()));
    let id = ctx.id().to_owned();
    let mut sum = ctx.run(count(1)).await?;
    ctx.append(LINES, sum).await;
    sum += ctx.run(apply(&id, "first")).await?;
    ctx.set_event(SEEN, sum).await;
    let (a, b) = ctx.join((count(2), count(3))).await;
    sum += a? + b?;
    sum += ctx.recv(GO).await;
    sum += select!(ctx, n = recv(NEVER) => n, () = sleep(Duration::from_millis(5)) => 1_000);
    sum += ctx.run(part(4)).await?;
    ctx.now().await;
    ctx.random().await;
    ctx.sleep(Duration::from_millis(5)).await;
    sum += ctx
        .run(stumble(5).retry(Retry::times(2).base(Duration::from_millis(5))))
        .await?;
    ctx.append(LINES, sum).await;
    sum += ctx.run(apply(&id, "second")).await?;
    Ok(sum)
}

/// A child of `everything`.
#[workflow]
pub(crate) async fn part(ctx: &mut Ctx<Shop>, n: u64) -> stepwell::Result<u64> {
    let _body = Span::enter(format!("{}:body", ctx.id()));
    let id = ctx.id().to_owned();
    let n = ctx.run(count(n)).await?;
    Ok(n + ctx.run(apply(&id, "part")).await?)
}

/// Many steps, one after the other.
#[workflow]
pub(crate) async fn chain(ctx: &mut Ctx<Shop>, steps: u64, millis: u64) -> stepwell::Result<u64> {
    let _body = Span::enter(format!("{}:body", ctx.id()));
    for _ in 0..steps {
        ctx.run(link(millis)).await?;
    }
    Ok(steps)
}

/// Waits in a step, then changes something for good.
#[workflow]
pub(crate) async fn gated(ctx: &mut Ctx<Shop>) -> stepwell::Result<u64> {
    let _body = Span::enter(format!("{}:body", ctx.id()));
    let id = ctx.id().to_owned();
    ctx.run(gate()).await?;
    let applied = ctx.run(apply(&id, "gated")).await?;
    ctx.run(count(applied)).await
}

/// Carries a large argument, and waits in a step.
#[workflow]
pub(crate) async fn bulk(ctx: &mut Ctx<Shop>, text: String) -> stepwell::Result<usize> {
    let _body = Span::enter(format!("{}:body", ctx.id()));
    ctx.run(gate()).await?;
    Ok(text.len())
}

/// Kills its process each time it is run, until it is cured.
#[workflow]
pub(crate) async fn poisoned(ctx: &mut Ctx<Shop>) -> stepwell::Result<u64> {
    let _body = Span::enter(format!("{}:body", ctx.id()));
    let n = ctx.run(count(7)).await?;
    ctx.run(poison()).await?;
    Ok(n)
}

/// Where `brittle` workflows wait.
pub(crate) static SHELF: Queue = Queue::new("shelf").concurrency(64);

/// Fails in its second step, until it is cured.
#[workflow]
pub(crate) async fn brittle(ctx: &mut Ctx<Shop>) -> stepwell::Result<u64> {
    let n = ctx.run(count(7)).await?;
    ctx.run(crack()).await?;
    Ok(n)
}

/// Says what an alert is about.
#[workflow]
pub(crate) async fn told(_ctx: &mut Ctx<Shop>, text: String) -> stepwell::Result<String> {
    Ok(text)
}
