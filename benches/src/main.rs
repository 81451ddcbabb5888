//! What Stepwell costs: its workflows beside the same rows written to bare SQLite, in turn, on the
//! same disk, both durable (write-ahead log, `synchronous = FULL`).
//!
//! `cargo run --release -p benches` prints medians of interleaved rounds, with the machine's load
//! and the CPU time of the process. `--quick` is the smallest size, so that the program never rots.
//! `--kafka` measures consumers of Kafka alone, on SQLite and on Postgres.
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
mod consumer;
mod contestant;
mod driver;
mod field;
mod fleet;
mod idle;
mod kafka;
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
    /// What consumes Kafka, on both databases, and nothing else.
    MeasureKafka(Size),
    /// One library on one database, for the measuring process.
    Serve(String),
    /// A consumer of Kafka: workflows in the one database, what they do in the other.
    ServeConsumer(String, String),
    /// One of our own processes, for what the peers are not asked.
    ServeAlone(String),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match task() {
        Ok(Task::Serve(database)) => ours::serve(&database).await,
        Ok(Task::ServeConsumer(workflows, users)) => consumer::serve(&workflows, &users).await,
        Ok(Task::ServeAlone(database)) => alone::serve(&database).await,
        Ok(Task::Measure { size, peers }) => until_stopped(measure(size, peers)).await,
        Ok(Task::MeasureKafka(size)) => until_stopped(measure_kafka(size)).await,
        Err(unknown) => {
            eprintln!(
                "error: unknown argument `{unknown}`\nhint: run it with --quick, and with --peers or \
                 --kafka, or without"
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
    let (mut size, mut peers, mut kafka) = (Size::Full, false, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => size = Size::Quick,
            "--peers" => peers = true,
            "--kafka" => kafka = true,
            "--serve" => return arguments.next().map(Task::Serve).ok_or(argument),
            "--serve-consumer" => {
                let databases = arguments.next().zip(arguments.next());
                return databases
                    .map(|(workflows, users)| Task::ServeConsumer(workflows, users))
                    .ok_or(argument);
            }
            "--serve-alone" => {
                return arguments.next().map(Task::ServeAlone).ok_or(argument);
            }
            _ => return Err(argument),
        }
    }
    Ok(match kafka {
        true => Task::MeasureKafka(size),
        false => Task::Measure { size, peers },
    })
}

/// Measures in a task of its own, and stops when somebody asks for it.
async fn until_stopped(
    measure: impl Future<Output = Result<(), Error>> + Send + 'static,
) -> Result<(), Error> {
    tokio::select! {
        measured = tokio::spawn(measure) => measured.unwrap_or_else(|error| Err(error.into())),
        stopped = stop::asked() => stopped.map_err(Error::from),
    }
}

async fn measure_kafka(size: Size) -> Result<(), Error> {
    let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR"))?;
    println!("{}", machine::describe(directory.path()));
    let mut table = Table::default();
    let field = Field::on_both(directory.path())?;
    tokio::task::block_in_place(|| kafka::measure(&mut table, size, &field))?;
    println!("{table}");
    println!("load at the end: {}", machine::load());
    Ok(())
}

impl Size {
    /// How often what takes long is measured.
    fn rounds(self) -> usize {
        match self {
            Self::Quick => 1,
            Self::Full => 3,
        }
    }
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
            fleet::measure(&mut table, size, &field)?;
            kafka::measure(&mut table, size, &field)
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
