//! The peers of the benchmark: the same workflows on `dbos` or on `durare`, driven and timed by the
//! benchmark's own code.
//!
//! `peers dbos <url>` or `peers durare <url>` launches one library on one database and takes
//! commands as [`driver::serve`] describes.
#![allow(
    clippy::print_stdout,
    reason = "the program talks to the benchmark that runs it"
)]

#[path = "../../src/driver/mod.rs"]
mod driver;

mod database;
mod on_dbos;
mod on_durare;

use std::{process::ExitCode, time::Duration};

use driver::{Error, serve::serve};
use serde_json::json;

/// How often both look into a queue, unless told otherwise.
const POLL: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let served = match arguments.as_slice() {
        [library, url] if library == "dbos" => dbos(url).await,
        [library, url] if library == "durare" => durare(url).await,
        _ => Err("usage: peers dbos|durare <database url>".into()),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{}", json!({ "error": error.to_string() }));
            ExitCode::FAILURE
        }
    }
}

async fn dbos(url: &str) -> Result<(), Error> {
    database::make(url).await?;
    let library = on_dbos::Dbos::launch(url).await?;
    serve(library, on_dbos::SETTINGS, POLL).await
}

async fn durare(url: &str) -> Result<(), Error> {
    let settings = if url.starts_with("sqlite:") {
        on_durare::SETTINGS_SQLITE
    } else {
        database::make(url).await?;
        on_durare::SETTINGS_POSTGRES
    };
    let library = on_durare::Durare::launch(url).await?;
    serve(library, settings, POLL).await
}
