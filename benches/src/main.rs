//! What Stepwell costs: its workflows beside the same rows written to bare SQLite, in turn, on the
//! same disk, both durable (write-ahead log, `synchronous = FULL`).
//!
//! `cargo run --release -p benches` prints medians of interleaved rounds, with the machine's load
//! and the CPU time of the process. `--quick` is the smallest size, so that the program never rots.
#![allow(
    clippy::print_stdout,
    reason = "the program talks to the person who runs it"
)]

mod bare;
mod machine;
mod table;
mod throughput;
mod waiting;

use std::process::ExitCode;

use table::Table;

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    /// A few seconds, for a machine that only checks that it runs.
    Quick,
    /// Minutes, for numbers to quote.
    Full,
}

#[tokio::main]
async fn main() -> ExitCode {
    let size = match std::env::args().nth(1).as_deref() {
        None => Size::Full,
        Some("--quick") => Size::Quick,
        Some(other) => {
            eprintln!(
                "error: unknown argument `{other}`\nhint: run it without one, or with --quick"
            );
            return ExitCode::from(2);
        }
    };
    match measure(size).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(size: Size) -> Result<(), Box<dyn std::error::Error>> {
    // Beside the sources, not in /tmp, which is memory on many machines.
    let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR"))?;
    println!("{}", machine::describe(directory.path()));
    let mut table = Table::default();
    throughput::measure(&mut table, size, directory.path()).await?;
    waiting::measure(&mut table, size, directory.path()).await?;
    println!("{table}");
    println!("load at the end: {}", machine::load());
    Ok(())
}
