//! Workflows that wait: what they cost, and how fast they wake.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use stepwell::{App, Ctx, Event, Queue, Topic, workflow};

use crate::{
    Size, machine,
    table::{Goal, Spread, Table},
};

type Error = Box<dyn std::error::Error>;

const PING: Topic<u32> = Topic::new("ping");
const PONG: Event<u32> = Event::new("pong");
static IDLE: Queue = Queue::new("idle");

#[workflow]
async fn waits(ctx: &mut Ctx) -> stepwell::Result<u32> {
    let ping = ctx.recv(PING).await;
    ctx.set_event(PONG, ping).await;
    Ok(ping)
}

#[workflow]
async fn at_once(_ctx: &mut Ctx) -> stepwell::Result<()> {
    Ok(())
}

pub(crate) async fn measure(table: &mut Table, size: Size, directory: &Path) -> Result<(), Error> {
    let file = directory.join("waiting.db");
    let app = App::builder("waiting")
        .database(format!("sqlite:{}", file.display()))
        .launch()
        .await?;
    latencies(table, size, &app).await?;
    memory(table, size, &app).await?;
    app.shutdown().await;
    Ok(())
}

async fn latencies(table: &mut Table, size: Size, app: &App) -> Result<(), Error> {
    let times = if size == Size::Quick { 20 } else { 500 };
    let (mut messages, mut queue) = (Vec::new(), Vec::new());
    for number in 0..times {
        let handle = app.start(waits()).await?;
        let sent = Instant::now();
        handle.send(PING, number).await?;
        handle.get_event(PONG).await?.ok_or("no event")?;
        messages.push(sent.elapsed().as_secs_f64() * 1e6);
        let enqueued = Instant::now();
        app.run(at_once().queue(&IDLE)).await?;
        queue.push(enqueued.elapsed().as_secs_f64() * 1e6);
    }
    let (messages, queue) = (Spread::of(messages), Spread::of(queue));
    let name = "send → receive → event → read, one process";
    table.ratio(
        name,
        format!("{messages} µs"),
        Goal::AtMost(messages.median, 4_000.0),
    );
    table.ratio(
        "enqueue → result, idle queue",
        format!("{queue} µs"),
        Goal::AtMost(queue.median, 5_000.0),
    );
    Ok(())
}

async fn memory(table: &mut Table, size: Size, app: &App) -> Result<(), Error> {
    let count: u32 = if size == Size::Quick { 200 } else { 10_000 };
    let before = machine::resident_bytes();
    let started = try_join_all((0..count).map(|_| app.start(waits()))).await?;
    let ids: Vec<String> = started
        .iter()
        .map(|handle| handle.id().to_owned())
        .collect();
    drop(started);
    // What they wait for is read once; then they are quiet.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let each = (machine::resident_bytes() - before) / f64::from(count);
    let (cpu, idle) = (
        machine::cpu(),
        Duration::from_secs(if size == Size::Quick { 1 } else { 5 }),
    );
    tokio::time::sleep(idle).await;
    let busy = (machine::cpu() - cpu).as_secs_f64() / idle.as_secs_f64() * 100.0;
    let name = format!("{count} workflows that wait for a message");
    table.ratio(
        format!("{name}: bytes each"),
        format!("{each:.0}"),
        Goal::AtMost(each, 4_096.0),
    );
    table.ratio(
        format!("{name}: CPU of one core"),
        format!("{busy:.1} %"),
        Goal::AtMost(busy, 1.0),
    );
    try_join_all(ids.iter().map(|id| app.send(id, PING, 1))).await?;
    try_join_all(ids.iter().map(|id| app.client().wait(id))).await?;
    Ok(())
}
