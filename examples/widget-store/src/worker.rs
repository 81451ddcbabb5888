//! The worker: the application. It serves on the socket that it got from its supervisor.

use std::{
    net::TcpListener,
    os::{fd::AsFd, unix::process::parent_id},
    process::ExitCode,
    time::Duration,
};

use rustix::process::{Signal, getpid, kill_process};
use stepwell::{AnyPool, App, AppBuilder, Failure, Timestamp};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::{
    config::Config,
    crash::{CrashSwitch, Life, Word, tell},
    crash_log::CrashLog,
    server::{self, Store},
    shop::Shop,
};

/// How often the worker looks whether its supervisor is still there.
const LOOK_AFTER_SUPERVISOR: Duration = Duration::from_millis(500);

/// How often the worker looks whether its lease was lost.
const LOOK_AFTER_EXECUTOR: Duration = Duration::from_millis(500);

/// How long a process on Postgres may be silent before others go on with its workflows.
const LEASE: Duration = Duration::from_secs(2);

/// What a shell calls the end by Ctrl-C.
const INTERRUPTED: i32 = 130;

/// Serves the store until it is told to stop, or killed.
///
/// # Errors
/// If a database cannot be used, or the program was not started by its supervisor.
pub async fn work(config: &Config) -> stepwell::Result<ExitCode> {
    let started_at = Timestamp::now();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let life = life()?;
    let listener = tokio::net::TcpListener::from_std(inherited_socket()?)?;

    let mut shop = Shop::open(&config.shop_url).await?;
    shop.crash = CrashSwitch::with_chaos(life.chaos);
    let app = builder(config, &shop.db).state(shop).build().await?;
    let log = CrashLog::open(&app, &life.crashes).await?;
    app.launch().await?;
    tokio::spawn(tell_executor(app.clone()));
    log.restarted(&app.state().db).await?;
    tokio::spawn(log.clone().watch_recovery(app.clone()));
    tokio::spawn(app.state().crash.clone().cause_chaos());
    tokio::spawn(stop_without(life.supervisor));
    let router = server::router(Store::new(app.clone(), log, started_at));
    tell(&Word::Ready);
    stepwell::axum::serve_until(listener, router, app.clone(), told_to_stop()).await?;
    app.state().db.close().await;
    Ok(ExitCode::SUCCESS)
}

/// On SQLite a process sees at once that another one is gone. Postgres may be far from both, so there
/// a silent process is dead when its lease has ended; that is short here, for people who watch.
fn builder(config: &Config, db: &AnyPool) -> AppBuilder<()> {
    let builder = App::builder("widget-store").database(&config.workflows_url);
    match db {
        AnyPool::Sqlite(_) => builder,
        AnyPool::Postgres(_) => builder.lease(LEASE),
    }
}

/// Tells the supervisor who we are for Stepwell: now, and whenever a lost lease has changed it.
async fn tell_executor(app: App<Shop>) {
    let mut told = None;
    loop {
        let executor = app.executor();
        if executor != told {
            executor
                .iter()
                .cloned()
                .map(Word::Executor)
                .for_each(|word| tell(&word));
            told = executor;
        }
        tokio::time::sleep(LOOK_AFTER_EXECUTOR).await;
    }
}

fn life() -> stepwell::Result<Life> {
    let text = std::env::var(Life::VARIABLE).map_err(|_| started_by_hand())?;
    Ok(serde_json::from_str(&text)?)
}

/// The listening socket, which is our standard input.
fn inherited_socket() -> stepwell::Result<TcpListener> {
    let listener = TcpListener::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    listener
        .local_addr()
        .map_err(|error| Failure::from(error).context(started_by_hand()))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn started_by_hand() -> Failure {
    Failure::msg("a worker is started by its supervisor; run `widget-store` without arguments")
}

/// Returns on Ctrl-C or SIGTERM. A second one does not wait for the steps that still run: they are
/// in the database, as after any crash.
async fn told_to_stop() {
    asked_to_end().await;
    tokio::spawn(async {
        asked_to_end().await;
        std::process::exit(INTERRUPTED)
    });
}

async fn asked_to_end() {
    let signals = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    );
    if let (Ok(mut interrupt), Ok(mut terminate)) = signals {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

/// Ends the worker in order when its supervisor is gone: nobody would restart it, and nobody would
/// know that it holds the port.
async fn stop_without(supervisor: u32) {
    while parent_id() == supervisor {
        tokio::time::sleep(LOOK_AFTER_SUPERVISOR).await;
    }
    let _ = kill_process(getpid(), Signal::TERM);
}
