//! A consumer of Kafka, in a process of its own. It takes one command a line and answers each with one
//! line of JSON, as `driver/serve.rs` does:
//!
//! - `consume <brokers> <topic> <batch> <messages>`: as fast as it can; see [`Consumed`]

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use serde_json::json;
use stepwell::{
    AnyPool, AnyTx, App, Ctx,
    events::Sources,
    kafka::Kafka,
    observe::{Observation, Observer},
    step, transaction, workflow,
};
use tokio::sync::Notify;

use crate::driver::{Error, process};

/// What came of a number of messages.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Consumed {
    /// From the first start to the last.
    pub(crate) accepting_seconds: f64,
    /// From the first start to the last end.
    pub(crate) seconds: f64,
    /// From the start of a workflow, which accepts its message, to its end.
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// Of this process.
    pub(crate) cpu_us_per_message: f64,
}

#[derive(stepwell::State)]
struct Store {
    #[provide]
    db: AnyPool,
}

#[transaction]
async fn note(tx: &mut AnyTx, message: &str) -> stepwell::Result<()> {
    sqlx::query("insert into processed (message) values ($1)")
        .bind(message)
        .execute(tx)
        .await?;
    Ok(())
}

#[step]
async fn tell(number: u32) -> stepwell::Result<u32> {
    Ok(number)
}

/// A transaction and a step.
#[workflow]
async fn handle(ctx: &mut Ctx<Store>, number: u32) -> stepwell::Result<u32> {
    let id = ctx.id().to_owned();
    ctx.run(note(&id)).await?;
    ctx.run(tell(number)).await
}

/// How long workflows took, and when the first was started.
#[derive(Clone, Default)]
struct Watch(Arc<Seen>);

#[derive(Default)]
struct Seen {
    ends: Mutex<Ends>,
    more: Notify,
}

#[derive(Default)]
struct Ends {
    first: Option<Instant>,
    last: Option<Instant>,
    took: Vec<Duration>,
}

impl Watch {
    fn look<T>(&self, look: impl FnOnce(&mut Ends) -> T) -> T {
        look(&mut self.0.ends.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns when so many have ended: how long they took to be started, and to end, and each of them
    /// to end, the shortest first.
    async fn ended(&self, count: usize) -> (Duration, Duration, Vec<Duration>) {
        loop {
            let more = self.0.more.notified();
            let done = self.look(|ends| {
                let first = ends.first.filter(|_| ends.took.len() >= count)?;
                let accepting = ends.last?.duration_since(first);
                Some((accepting, first.elapsed(), std::mem::take(&mut ends.took)))
            });
            if let Some((accepting, all, mut took)) = done {
                took.sort();
                return (accepting, all, took);
            }
            more.await;
        }
    }
}

impl Observer for Watch {
    fn observe(&self, observation: &Observation<'_>) {
        match observation {
            Observation::Started { .. } => self.look(|ends| {
                let now = Instant::now();
                ends.first.get_or_insert(now);
                ends.last = Some(now);
            }),
            Observation::Ended { took, .. } => {
                self.look(|ends| ends.took.push(*took));
                self.0.more.notify_one();
            }
            _ => {}
        }
    }
}

/// Serves commands: workflows in one database, what they do in another one.
pub(crate) async fn serve(workflows: &str, users: &str) -> Result<(), Error> {
    let db = connect(users).await?;
    db.execute_script("create table if not exists processed (message text primary key)")
        .await?;
    AnyTx::make_witness_table(&db).await?;
    let watch = Watch::default();
    let app = App::builder("benches")
        .state(Store { db })
        .database(workflows)
        .observer(watch.clone());
    let app = app.launch().await?;
    answer(&json!({ "settings": "every commit waits for the disk" }));
    for line in io::stdin().lines() {
        let line = line?;
        match command(&app, &watch, &line).await {
            Ok(consumed) => answer(&json!(consumed)),
            Err(error) => answer(&json!({ "error": error.to_string() })),
        }
    }
    Ok(())
}

/// As many transactions of the user's at once as share a commit of the server with each other.
async fn connect(users: &str) -> Result<AnyPool, Error> {
    if !users.starts_with("postgres") {
        return Ok(AnyPool::connect(users).await?);
    }
    let pool = sqlx::postgres::PgPoolOptions::new().max_connections(32);
    Ok(AnyPool::Postgres(pool.connect(users).await?))
}

async fn command(app: &App<Store>, watch: &Watch, line: &str) -> Result<Consumed, Error> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let ["consume", brokers, topic, batch, messages] = words[..] else {
        return Err(format!("there is no command `{line}`").into());
    };
    let messages: usize = messages.parse()?;
    let kafka = Kafka::new(brokers)
        .group(topic)
        .topic(topic)
        .batch(batch.parse()?);
    watch.look(|ends| *ends = Ends::default());
    let sources = Sources::new(app).add(kafka, |event| event.json().map(handle))?;
    let cpu = process::cpu();
    let consumers = sources.start();
    let (accepting, all, took) = watch.ended(messages).await;
    let cpu = process::cpu() - cpu;
    drop(consumers);
    let at = |percent: usize| {
        let took = took.get((took.len() * percent / 100).min(took.len().saturating_sub(1)));
        took.map_or(f64::NAN, |took| took.as_secs_f64() * 1e3)
    };
    Ok(Consumed {
        accepting_seconds: accepting.as_secs_f64(),
        seconds: all.as_secs_f64(),
        p50_ms: at(50),
        p99_ms: at(99),
        cpu_us_per_message: cpu.as_secs_f64() * 1e6 / messages as f64,
    })
}

fn answer(value: &serde_json::Value) {
    println!("{value}");
}
