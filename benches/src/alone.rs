//! What only Stepwell's own processes are asked: many parked workflows, and several processes on one
//! database.
//!
//! It takes one command a line and answers each with one line of JSON, as `driver/serve.rs` does:
//!
//! - `park <from> <to>`: workflows that wait for a message, by their numbers
//! - `resident`, `wake <number>`
//! - `answer <id>`, `ask <id>`: a workflow in the one process, and who talks to it from the other
//! - `hold <workflows>`, `held <workflows> <microsecond>`: work that goes on for ever, and who takes
//!   it over

use std::{
    collections::HashMap,
    io,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::future::try_join_all;
use serde_json::{Value, json};
use stepwell::{App, Ctx, Event, State, Topic, step, store::Filter, workflow};

use crate::driver::{Error, process};

/// Starts that are in flight together.
const STARTS: u64 = 100;

const GO: Topic<u32> = Topic::new("go");
const RECEIVED: Event<u64> = Event::new("received");

/// When a workflow was first seen at work in this process.
static SEEN: Mutex<Option<HashMap<String, u64>>> = Mutex::new(None);

/// The time, in microseconds since 1970: two processes on one machine agree on it.
pub(crate) fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(now.unwrap_or_default().as_micros()).unwrap_or(u64::MAX)
}

/// Waits for a message; answers when it came.
#[workflow]
async fn parks(ctx: &mut Ctx) -> stepwell::Result<u64> {
    ctx.recv(GO).await;
    ctx.run(clock()).await
}

/// Waits for a message, says when it came, and ends.
#[workflow]
async fn answers(ctx: &mut Ctx) -> stepwell::Result<u64> {
    ctx.recv(GO).await;
    let received = ctx.run(clock()).await?;
    ctx.set_event(RECEIVED, received).await;
    ctx.recv(GO).await;
    ctx.run(clock()).await
}

#[step]
async fn clock() -> stepwell::Result<u64> {
    Ok(now_us())
}

#[workflow]
async fn holds(ctx: &mut Ctx, id: String) -> stepwell::Result<()> {
    loop {
        ctx.run(is_seen(id.clone())).await?;
        ctx.sleep(Duration::from_millis(50)).await;
    }
}

#[step]
async fn is_seen(id: String) -> stepwell::Result<()> {
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let seen = seen.get_or_insert_default();
    seen.entry(id).or_insert_with(now_us);
    Ok(())
}

/// Takes commands until there are no more.
pub(crate) async fn serve(database: &str) -> Result<(), Error> {
    let app = App::builder("benches")
        .database(database)
        .park_after(Duration::from_millis(200))
        .launch()
        .await?;
    println!("{}", json!({ "settings": "" }));
    for line in io::stdin().lines() {
        let answer = answer(&app, &line?).await;
        let answer = answer.unwrap_or_else(|error| json!({ "error": error.to_string() }));
        println!("{answer}");
    }
    Ok(())
}

async fn answer(app: &App, line: &str) -> Result<Value, Error> {
    let words: Vec<&str> = line.split_whitespace().collect();
    Ok(match words.as_slice() {
        ["park", from, to] => json!(park(app, from.parse()?, to.parse()?).await?),
        ["resident"] => json!(process::resident_bytes()),
        ["wake", number] => json!(wake(app, number.parse()?).await?),
        ["answer", id] => {
            app.start(answers().id(*id)).await?;
            json!(null)
        }
        ["ask", id] => json!(ask(app, id).await?),
        ["hold", count] => json!(hold(app, count.parse()?).await?),
        ["held", count, since] => json!(held(count.parse()?, since.parse()?).await),
        _ => return Err(format!("no such command: `{line}`").into()),
    })
}

/// Starts workflows that wait for a message; returns when none of them is in memory.
async fn park(app: &App, from: u64, to: u64) -> Result<(), Error> {
    let mut next = from;
    while next < to {
        let until = to.min(next + STARTS);
        let starts = (next..until).map(|number| app.start(parks().id(parked_id(number))));
        drop(try_join_all(starts).await?);
        next = until;
    }
    let running = Filter {
        states: vec![State::Running],
        limit: 1,
        ..Filter::default()
    };
    while !app.client().list(running.clone()).await?.is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

fn parked_id(number: u64) -> String {
    format!("parked-{number}")
}

/// How many microseconds it takes from the message to the workflow that goes on with it.
async fn wake(app: &App, number: u64) -> Result<u64, Error> {
    let handle = app.handle::<parks>(parked_id(number));
    let sent = now_us();
    handle.send(GO, 1).await?;
    Ok(handle.result().await?.saturating_sub(sent))
}

/// How many microseconds pass from here to the workflow in the other process, and from there to
/// here: a message, an event, a result.
async fn ask(app: &App, id: &str) -> Result<[u64; 3], Error> {
    let handle = app.handle::<answers>(id);
    let sent = now_us();
    handle.send(GO, 1).await?;
    let received = app.get_event(id, RECEIVED).await?.ok_or("no event")?;
    let read = now_us();
    handle.send(GO, 1).await?;
    let ended = handle.result().await?;
    let heard = now_us();
    Ok([
        received.saturating_sub(sent),
        read.saturating_sub(received),
        heard.saturating_sub(ended),
    ])
}

/// Starts workflows that go on for ever; returns when all of them are at work.
async fn hold(app: &App, count: usize) -> Result<(), Error> {
    let id = |number: usize| format!("held-{number}");
    let starts = (0..count).map(|number| app.start(holds(id(number)).id(id(number))));
    drop(try_join_all(starts).await?);
    seen(count).await;
    Ok(())
}

/// After how many microseconds since an instant each of them was at work in this process.
async fn held(count: usize, since: u64) -> Vec<u64> {
    let seen = seen(count).await;
    seen.into_iter()
        .map(|at| at.saturating_sub(since))
        .collect()
}

async fn seen(count: usize) -> Vec<u64> {
    loop {
        {
            let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(seen) = seen.as_ref().filter(|seen| seen.len() >= count) {
                return seen.values().copied().collect();
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
