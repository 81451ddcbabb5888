//! `examples/event-processor/services cargo run -p event-processor`

use std::{
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

use event_processor::{
    alerts::page, config::Config, processor::Processor, server::router, sources::sources,
};
use stepwell::{App, otel::Prometheus};
use tracing_subscriber::EnvFilter;

/// So many failures of one kind in [`WINDOW`] are worth a call.
const FAILURES: u32 = 5;
const WINDOW: Duration = Duration::from_secs(600);

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut chain: Vec<&str> = error.chain().collect();
            // Some errors repeat their cause in their own message.
            chain.dedup_by(|cause, message| message.ends_with(&**cause));
            eprintln!("error: {}", chain.join("\n  caused by: "));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> stepwell::Result<()> {
    let config = Config::from_env()?;
    let processor = Processor::open(&config.database_url).await?;
    let prometheus = Prometheus::new()?;
    let app = App::builder("event-processor")
        .state(processor)
        .database(&config.database_url)
        .observer(prometheus.metrics())
        // One call for each kind of trouble, not for each letter: these are in the metrics.
        .on_repeated_failures(FAILURES, WINDOW, |failures| page(failures.to_string()))
        .build()
        .await?;
    let sources = sources(&app, &config).await?;
    let router = router(&app, &sources, &prometheus, config.operator_token);
    let listener = stepwell::axum::listen(("127.0.0.1", config.port)).await?;
    let address = listener.local_addr()?;
    // Whoever has closed their end does not want to know.
    let _ = writeln!(io::stdout(), "event-processor listens on http://{address}");
    app.launch().await?;
    let consumers = sources.start();
    stepwell::axum::serve(listener, router, app).await?;
    consumers.ended().await;
    Ok(())
}
