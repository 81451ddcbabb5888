//! One executor of a fleet on Postgres: it runs what a test has started, until it is killed.
//!
//! It says `ready` when it takes work, and `failed …` when it could not begin.
//!
//! # Layout
//! - `arguments`: what it is started with
//! - `span`: how its workflows write what they really did
//! - `workflows`: what it runs

mod arguments;
mod span;
mod workflows;

use std::{process::ExitCode, time::Duration};

use crash_tests::load::APPLICATION;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use stepwell::App;
use tokio::signal::unix::{SignalKind, signal};

use crate::{arguments::Arguments, workflows::Shop};

/// How long a workflow waits in memory: many are parked, and many are about to be, when something
/// happens to the process.
const PARK_AFTER: Duration = Duration::from_millis(50);

/// How many connections to the user's database there are.
const POOL: u32 = 4;

/// What the user's database ends by itself: a process that is stopped in a transaction, or whose
/// connection fell silent, must not keep its locks.
const TIMEOUTS: [(&str, &str); 3] = [
    ("idle_in_transaction_session_timeout", "2s"),
    ("lock_timeout", "5s"),
    ("statement_timeout", "5s"),
];

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let done = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => run(arguments).await,
        Err(wrong) => Err(wrong.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("failed {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let mut terminated = signal(SignalKind::terminate())?;
    span::open(&arguments.log)?;
    let options: PgConnectOptions = arguments.shop.parse()?;
    let db = PgPoolOptions::new()
        .max_connections(POOL)
        .acquire_timeout(Duration::from_secs(5))
        .connect_lazy_with(options.options(TIMEOUTS));
    let shop = Shop {
        db,
        pace: arguments.pace,
    };
    let app = App::builder(APPLICATION)
        .state(shop)
        .database(arguments.store)
        .park_after(PARK_AFTER);
    let app = match arguments.lease {
        Some(lease) => app.lease(lease),
        None => app,
    };
    let app = app.launch().await?;
    say("ready");
    terminated.recv().await;
    app.shutdown().await;
    say("stopped");
    Ok(())
}

/// Tells the test what happened. A line is on its way before this returns, whatever dies after it.
#[expect(clippy::print_stdout, reason = "this is how it talks to the test")]
fn say(event: &str) {
    println!("{}", event.replace('\n', " "));
}
