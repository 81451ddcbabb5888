//! The old release.

use std::time::Duration;

use stepwell::{Ctx, Queue, Timestamp, step, workflow};

#[derive(Default)]
pub(super) struct Old;

pub(super) static LANES: Queue = Queue::new("lanes").concurrency(1);

/// Ticks in both releases alike.
#[workflow(name = "steady", schedule = "@every 1s")]
pub(super) async fn steady(_ctx: &mut Ctx<Old>, at: Timestamp) -> stepwell::Result<i64> {
    Ok(at.as_second())
}

/// Has another expression in the new release.
#[workflow(name = "changing", schedule = "@every 1h")]
pub(super) async fn changing(_ctx: &mut Ctx<Old>, at: Timestamp) -> stepwell::Result<i64> {
    Ok(at.as_second())
}

/// Has a schedule in the new release alone.
#[workflow(name = "coming")]
pub(super) async fn coming(_ctx: &mut Ctx<Old>, at: Timestamp) -> stepwell::Result<i64> {
    Ok(at.as_second())
}

/// Has a schedule here alone.
#[workflow(name = "leaving", schedule = "@every 1s")]
pub(super) async fn leaving(_ctx: &mut Ctx<Old>, at: Timestamp) -> stepwell::Result<i64> {
    Ok(at.as_second())
}

#[step]
async fn add(a: u64, b: u64) -> stepwell::Result<u64> {
    Ok(a + b)
}

/// Has one more step in the new release, behind `patched`.
#[workflow(name = "order")]
pub(super) async fn order(ctx: &mut Ctx<Old>, number: u64) -> stepwell::Result<u64> {
    let sum = ctx.run(add(number, 1)).await?;
    ctx.sleep(Duration::from_millis(30)).await;
    ctx.run(add(sum, 1)).await
}

#[step(name = "old_half")]
async fn half(number: u64) -> stepwell::Result<u64> {
    Ok(number)
}

/// Cannot go on in the other release once its first step is recorded.
#[workflow(name = "reshaped")]
pub(super) async fn reshaped(ctx: &mut Ctx<Old>, number: u64) -> stepwell::Result<u64> {
    let number = ctx.run(half(number)).await?;
    ctx.sleep(Duration::from_millis(30)).await;
    ctx.run(add(number, 2)).await
}
