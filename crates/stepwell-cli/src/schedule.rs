//! `stepwell schedule`: what starts workflows by itself.

mod backfill;
mod next;

use anstream::eprintln;
use clap::Subcommand;
use serde::Serialize;
use stepwell_core::{Client, Error, ErrorKind, store::ScheduleInfo};

use crate::{
    database::Database,
    exit::{Exit, Problem},
    output::{Output, Shown},
    person::Person,
    table::{Cell, Tone},
};

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the schedules
    List,
    /// Show a schedule
    Get {
        /// Its name
        schedule: String,
    },
    /// Let a schedule tick no more until it is resumed
    Pause {
        /// Its name
        schedule: String,
        #[command(flatten)]
        person: Person,
    },
    /// Let a paused schedule tick again, from its next tick on
    Resume {
        /// Its name
        schedule: String,
    },
    /// Start the workflow of a schedule now, apart from its ticks; every call starts one
    Trigger {
        /// Its name
        schedule: String,
    },
    /// Start the workflows of ticks that passed; one that was started before is not started again
    Backfill(backfill::Backfill),
    /// Show the next ticks of a schedule, or of an expression that is not a schedule yet
    Next(next::Next),
}

impl Shown for ScheduleInfo {
    const COLUMNS: &'static [&'static str] = &[
        "SCHEDULE",
        "STATE",
        "WORKFLOW",
        "SPEC",
        "ZONE",
        "MISSED",
        "QUEUE",
        "NEXT",
        "LAST",
        "PAUSED BY",
        "WHY",
    ];

    fn id(&self) -> &str {
        &self.name
    }

    fn cells(&self) -> Vec<Cell> {
        let state = match (&self.paused, &self.trouble) {
            (Some(_), _) => Cell::new("paused").toned(Tone::Bad),
            (None, Some(_)) => Cell::new("unusable").toned(Tone::Bad),
            (None, None) => Cell::new("active").toned(Tone::Good),
        };
        let why = self.paused.as_ref().map(|paused| &paused.why);
        vec![
            Cell::new(&self.name),
            state,
            Cell::new(&self.workflow),
            Cell::new(&self.spec),
            Cell::new(self.timezone.as_deref().unwrap_or("UTC")),
            Cell::new(self.missed.as_str()),
            Cell::maybe(self.queue.as_deref()),
            Cell::at(self.next_at),
            Cell::at(self.last_at),
            Cell::maybe(self.paused.as_ref().map(|it| &it.by)),
            Cell::maybe(why.or(self.trouble.as_ref())),
        ]
    }

    fn fields(&self) -> Vec<(&'static str, Cell)> {
        let mut fields: Vec<_> = Self::COLUMNS.iter().copied().zip(self.cells()).collect();
        fields.push(("ARGUMENTS", Cell::new(self.arguments.as_str())));
        fields.push(("DECLARED BY", Cell::new(self.declared_by.as_str())));
        fields
    }
}

/// The id of a workflow that was started.
#[derive(Debug, Serialize)]
struct StartedLine {
    id: String,
}

impl Shown for StartedLine {
    const COLUMNS: &'static [&'static str] = &["STARTED"];

    fn id(&self) -> &str {
        &self.id
    }

    fn cells(&self) -> Vec<Cell> {
        vec![Cell::new(&self.id)]
    }
}

/// Runs a command.
pub(crate) async fn run(
    command: Command,
    database: &Database,
    output: Output,
) -> Result<Exit, Problem> {
    if let Command::Next(command) = command {
        return next::run(&command, database, output).await;
    }
    let client = database.open().await?;
    let schedule = match command {
        Command::List => return output.list(&client.schedules().await?),
        Command::Backfill(command) => return backfill::run(&command, &client, output).await,
        Command::Trigger { schedule } => {
            let id = client.trigger_schedule(&schedule).await?.to_string();
            eprintln!("started the workflow of `{schedule}`");
            return output.one(&StartedLine { id });
        }
        Command::Pause { schedule, person } => {
            client
                .pause_schedule(&schedule, &person.name(), &person.reason)
                .await?;
            eprintln!("paused `{schedule}`");
            schedule
        }
        Command::Resume { schedule } => {
            client.resume_schedule(&schedule).await?;
            eprintln!("resumed `{schedule}`");
            schedule
        }
        Command::Get { schedule } => schedule,
        Command::Next(_) => return Err(Problem::failure("`next` was handled before")),
    };
    output.one(&find(&client, &schedule).await?)
}

/// The schedule of a name.
async fn find(client: &Client, name: &str) -> Result<ScheduleInfo, Problem> {
    let mut schedules = client.schedules().await?.into_iter();
    let found = schedules.find(|schedule| schedule.name == name);
    found.ok_or_else(|| {
        let message = format!("there is no schedule `{name}`");
        Problem::from(Error::new(ErrorKind::NotFound, message))
            .hint("`stepwell schedule list` shows those that there are")
    })
}
