//! What the attributes must accept, without a warning.

#![deny(warnings)]
#![deny(missing_docs, missing_debug_implementations, unreachable_pub)]
#![forbid(unsafe_code)]

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Serialize};
use stepwell::{Attempt, Ctx, Event, Retry, Topic, branch, recv, sleep, step, workflow};

const ANSWER: Topic<u32> = Topic::new("answer");
const EITHER: Topic<Result<u64, u64>> = Topic::new("either");
const DONE: Event<String> = Event::new("done");

struct Gateway;

trait Clock: Send + Sync {
    fn hour(&self) -> u32;
}

impl Clock for Gateway {
    fn hour(&self) -> u32 {
        9
    }
}

#[derive(stepwell::State)]
struct Shop {
    #[provide]
    gateway: Gateway,
    #[provide]
    clock: Box<dyn Clock>,
    greeting: String,
}

#[derive(stepwell::State)]
struct Tuple(#[provide] Gateway);

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
enum Trouble {
    #[error("sold out")]
    SoldOut,
    #[error(transparent)]
    Other(#[from] stepwell::Failure),
}

#[step]
async fn charge(
    #[state] _gateway: &Gateway,
    #[attempt] attempt: &Attempt,
    card: &str,
    cents: u64,
) -> Result<u64, Trouble> {
    match card {
        "" => Err(Trouble::SoldOut),
        _ => Ok(cents + u64::from(attempt.number())),
    }
}

/// A step with borrowed parts, patterns, a name of its own, and a name that Rust keeps for itself.
#[step(name = "in an order")]
async fn r#type(
    parts: Option<&str>,
    text: Cow<'_, str>,
    (a, mut b): (u32, u32),
    state: Vec<u8>,
) -> stepwell::Result<usize> {
    b += a;
    Ok(parts.map_or(0, str::len) + text.len() + state.len() + b as usize)
}

#[step]
#[allow(clippy::unused_async, reason = "steps are async")]
#[allow(
    clippy::borrowed_box,
    reason = "what a state provides is asked for as it is"
)]
async fn hour(#[state] clock: &Box<dyn Clock>) -> stepwell::Result<u32> {
    Ok(clock.hour())
}

#[workflow]
async fn child(ctx: &mut Ctx<Shop>, (a, b): (u32, u32), mut c: u32) -> stepwell::Result<u32> {
    c += ctx.run(hour()).await?;
    Ok(a + b + c)
}

#[workflow]
async fn checkout(ctx: &mut Ctx<Shop>, card: String) -> Result<u64, Trouble> {
    let state = ctx.state();
    let cents = ctx.run(charge(&card, 100).retry(Retry::times(3))).await?;
    let text = Cow::Borrowed(card.as_str());
    ctx.run(r#type(Some(&card), text, (1, 2), vec![1])).await?;
    ctx.set_event(DONE, state.greeting.clone()).await;
    let (left, right) = ctx
        .join((
            branch(async |mut ctx: Ctx<Shop>| {
                ctx.sleep(Duration::from_secs(1)).await;
                ctx.run(charge("left", 1)).await
            }),
            charge("right", 2),
        ))
        .await;
    let answer = stepwell::select!(ctx,
        answer = recv(ANSWER) => u64::from(answer),
        () = sleep(Duration::from_secs(1)) => {
            return Ok(0);
        }
        Ok(value) | Err(value) = recv(EITHER) => value,
    );
    ctx.start(child((1, 2), 3)).await;
    Ok(cents + left? + right? + answer)
}

mod inner {
    //! Visibility is kept.

    use stepwell::{Ctx, workflow};

    /// Runs at nine.
    #[workflow(schedule = "0 9 * * MON", timezone = "Europe/Berlin", name = "nine")]
    pub(crate) async fn at_nine(_ctx: &mut Ctx, _at: String) -> stepwell::Result<()> {
        Ok(())
    }

    /// May look at the clock.
    #[workflow(schedule = "*/5 * * * * *", allow_nondeterminism)]
    async fn each_five_seconds(_ctx: &mut Ctx) -> stepwell::Result<()> {
        let _ = std::time::SystemTime::now();
        Ok(())
    }
}

fn main() {
    drop((inner::at_nine(String::new()), checkout(String::new())));
    let Tuple(_) = Tuple(Gateway);
    let shop = Shop {
        gateway: Gateway,
        clock: Box::new(Gateway),
        greeting: String::new(),
    };
    drop((shop.gateway, shop.clock));
    let attempt = Attempt::first("key");
    drop(charge::plain(&Gateway, &attempt, "card", 1));
}
