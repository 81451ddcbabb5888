//! What Stepwell costs: its workflows beside the same rows written to bare SQLite, in turn, on the
//! same disk, both durable (write-ahead log, `synchronous = FULL`).
//!
//! `cargo run --release -p benches` prints medians of interleaved rounds, with the machine's load
//! and the CPU time of the process. `--quick` is the smallest size, so that the program never rots.
//! `--peers` runs the same work on `dbos` and `durare` as well, in turn with ours; that needs
//! PostgreSQL, and builds the package in `benches/peers`.
//!
//! Every library runs in a process of its own and is driven by the same code: [`driver`].
#![allow(
    clippy::print_stdout,
    reason = "the program talks to the person who runs it"
)]

mod account;
mod alone;
mod bare;
mod contestant;
mod driver;
mod field;
mod fleet;
mod idle;
mod machine;
mod ours;
mod postgres;
mod stop;
mod table;
mod throughput;
mod waiting;

use std::process::ExitCode;

use driver::Error;
use field::Field;
use table::Table;

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    /// A few seconds, for a machine that only checks that it runs.
    Quick,
    /// Minutes, for numbers to quote.
    Full,
}

/// What the program was asked to do.
enum Task {
    Measure {
        size: Size,
        peers: bool,
    },
    /// One library on one database, for the measuring process.
    Serve(String),
    /// One of our own processes, for what the peers are not asked.
    ServeAlone(String),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match task() {
        Ok(Task::Serve(database)) => ours::serve(&database).await,
        Ok(Task::ServeAlone(database)) => alone::serve(&database).await,
        Ok(Task::Measure { size, peers }) => tokio::select! {
            measured = tokio::spawn(measure(size, peers)) => {
                measured.unwrap_or_else(|error| Err(error.into()))
            }
            stopped = stop::asked() => stopped.map_err(Error::from),
        },
        Err(unknown) => {
            eprintln!(
                "error: unknown argument `{unknown}`\nhint: run it with --quick, --peers, both or \
                 neither"
            );
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn task() -> Result<Task, String> {
    let (mut size, mut peers) = (Size::Full, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => size = Size::Quick,
            "--peers" => peers = true,
            "--serve" => return arguments.next().map(Task::Serve).ok_or(argument),
            "--serve-alone" => {
                return arguments.next().map(Task::ServeAlone).ok_or(argument);
            }
            _ => return Err(argument),
        }
    }
    Ok(Task::Measure { size, peers })
}

async fn measure(size: Size, peers: bool) -> Result<(), Error> {
    // Beside the sources, not in /tmp, which is memory on many machines.
    let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR"))?;
    println!("{}", machine::describe(directory.path()));
    let mut table = Table::default();
    {
        let field = if peers {
            Field::with_peers(directory.path())?
        } else {
            Field::alone(directory.path())
        };
        // These only wait for other processes; nothing else is to be done meanwhile.
        tokio::task::block_in_place(|| {
            throughput::measure(&mut table, size, directory.path(), &field)?;
            waiting::measure(&mut table, size, &field)?;
            fleet::measure(&mut table, size, &field)
        })?;
    }
    idle::measure(&mut table, size, directory.path()).await?;
    if peers {
        account::measure(&mut table, size, directory.path()).await?;
    }
    println!("{table}");
    println!("load at the end: {}", machine::load());
    Ok(())
}
