//! The process that the crash tests kill: a widget store with some workflows more, told what to do
//! by lines on its standard input, and telling what happened by lines on its standard output.
//!
//! # Layout
//! - `arguments`: what it is started with
//! - `commands`: what it can be told
//! - `strike`: how it kills or stops itself at a crash point
//! - `span`: how its workflows write what they really did
//! - `workflows`: its own workflows

mod arguments;
mod commands;
mod span;
mod strike;
mod workflows;

use std::{io::BufRead, process::ExitCode, time::Duration};

use stepwell::App;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
};
use widget_store::shop::Shop;

use crate::{arguments::Arguments, workflows::told};

/// How long running steps may go on after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

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
    // Before `ready`: whoever sees that may send it.
    let mut terminated = signal(SignalKind::terminate())?;
    span::open(&arguments.files)?;
    strike::arm(arguments.strike.as_ref())?;
    let mut shop = Shop::open(&format!("sqlite:{}", arguments.files.shop().display())).await?;
    shop.dispatch_pause = arguments.pause;
    let mut app = App::builder("crash")
        .state(shop)
        .database(format!("sqlite:{}", arguments.files.journal().display()))
        .lease(arguments.lease)
        .recoveries_max(arguments.recoveries_max)
        .park_after(arguments.park_after)
        .grace(GRACE);
    if arguments.alerts {
        app = app.on_dead_letter(|letter| told(letter.to_string()));
    }
    let app = app.launch().await?;
    say("ready");
    tokio::select! {
        () = commands::obey(&app, commands()) => {}
        _ = terminated.recv() => {}
    }
    app.shutdown().await;
    say("stopped");
    Ok(())
}

/// The lines of the standard input. They end when the test does, and the victim with them.
fn commands() -> UnboundedReceiver<String> {
    let (sender, lines) = unbounded_channel();
    std::thread::spawn(move || {
        let lines = std::io::stdin().lock().lines();
        for line in lines.map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Tells the test what happened. A line is on its way before this returns, whatever dies after it.
#[expect(clippy::print_stdout, reason = "this is how it talks to the test")]
fn say(event: &str) {
    println!("{}", event.replace('\n', " "));
}
