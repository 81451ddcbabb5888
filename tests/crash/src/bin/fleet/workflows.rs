//! What a fleet runs. Steps write what they did to the log, transactions to the user's table
//! `applied`, which nothing keeps unique.

use std::time::Duration;

use crash_tests::{
    load::{LETTERS, Letter, PARTS_QUEUE, Receipt},
    log::operation,
};
use sqlx::PgPool;
use stepwell::{Attempt, Ctx, PostgresTx, step, transaction, workflow};

use crate::span::Span;

/// What the workflows work with.
#[derive(stepwell::State)]
pub(crate) struct Shop {
    #[provide]
    pub(crate) db: PgPool,
    /// How long a step takes.
    #[provide]
    pub(crate) pace: Duration,
}

/// A step that takes a while and answers its argument.
#[step]
async fn note(
    #[state] pace: &Duration,
    #[attempt] attempt: &Attempt,
    n: u64,
) -> stepwell::Result<u64> {
    let _span = Span::enter(operation(attempt.idempotency_key()));
    tokio::time::sleep(*pace).await;
    Ok(n)
}

/// A transaction that leaves a row each time it is applied, and fails where it has been: run again
/// behind the first run, it says so, and beside it, it leaves a second row.
#[transaction]
async fn apply(tx: &mut PostgresTx, workflow_id: &str, what: &str) -> stepwell::Result<u64> {
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

/// Steps, transactions, a durable sleep, a child in a queue with limits, and two steps at once.
#[workflow]
pub(crate) async fn order(ctx: &mut Ctx<Shop>, n: u64, sleep_ms: u64) -> stepwell::Result<Receipt> {
    let _body = Span::enter(format!("{}:body", ctx.id()));
    let id = ctx.id().to_owned();
    let mut sum = ctx.run(note(n)).await?;
    sum += ctx.run(apply(&id, "first")).await?;
    let before = ctx.now().await;
    ctx.sleep(Duration::from_millis(sleep_ms)).await;
    let after = ctx.now().await;
    sum += ctx
        .run(part(n).id(format!("{id}/part")).queue(&PARTS_QUEUE))
        .await?;
    let (two, three) = ctx.join((note(2), note(3))).await;
    sum += two? + three?;
    sum += ctx.run(apply(&id, "last")).await?;
    let slept = after.duration_since(before).as_millis();
    Ok(Receipt {
        sum,
        slept_ms: (sleep_ms, u64::try_from(slept).unwrap_or_default()),
    })
}

/// A child of `order`.
#[workflow]
pub(crate) async fn part(ctx: &mut Ctx<Shop>, n: u64) -> stepwell::Result<u64> {
    let _body = Span::enter(format!("{}:body", ctx.id()));
    let id = ctx.id().to_owned();
    let n = ctx.run(note(n)).await?;
    Ok(n + ctx.run(apply(&id, "part")).await?)
}

/// What is started through a queue with limits.
#[workflow]
pub(crate) async fn limited(ctx: &mut Ctx<Shop>, n: u64) -> stepwell::Result<u64> {
    let _body = Span::enter(format!("{}:body", ctx.id()));
    let id = ctx.id().to_owned();
    let first = ctx.run(note(n)).await?;
    let applied = ctx.run(apply(&id, "limited")).await?;
    Ok(first + applied + ctx.run(note(1)).await?)
}

/// Sends letters, one after the other.
#[workflow]
pub(crate) async fn sender(ctx: &mut Ctx<Shop>, to: String, letters: u64) -> stepwell::Result<u64> {
    let _body = Span::enter(format!("{}:body", ctx.id()));
    let from = ctx.id().to_owned();
    for number in 0..letters {
        ctx.run(note(number)).await?;
        let letter = Letter {
            from: from.clone(),
            number,
        };
        ctx.send(&to, LETTERS, letter).await;
    }
    Ok(letters)
}

/// Receives letters, and answers them in the order in which they came.
#[workflow]
pub(crate) async fn receiver(ctx: &mut Ctx<Shop>, letters: u64) -> stepwell::Result<Vec<Letter>> {
    let _body = Span::enter(format!("{}:body", ctx.id()));
    let mut received = Vec::new();
    for number in 0..letters {
        received.push(ctx.recv(LETTERS).await);
        if number % 3 == 0 {
            ctx.run(note(number)).await?;
        }
    }
    Ok(received)
}
