//! `stepwell dead-letter redrive`.

use anstream::eprintln;
use clap::{Args, ValueEnum};
use serde::Serialize;
use stepwell_core::{
    Client, State, WorkflowId,
    redrive::{self, RedriveFrom},
    store::{DeadLetters, Rate},
};

use super::STATES;
use crate::{
    bulk::counted,
    choice::{is_many, named},
    confirm::{Answer, Care, confirm},
    exit::{Exit, Problem},
    output::{Output, Shown},
    payload::payload,
    queue::{NewRate, rate},
    table::{Cell, Tone},
};

/// Which dead letters, and how.
#[derive(Debug, Args)]
pub(crate) struct Redrive {
    /// The dead letters' ids; `-` reads them from standard input, one a line. They are tried at once
    #[arg(value_name = "ID", conflicts_with_all = ["name", "state", "fingerprint", "queue"])]
    ids: Vec<String>,
    #[command(flatten)]
    group: Group,
    /// From where
    #[arg(long, value_enum, default_value = "failed-step")]
    from: From,
    /// Other arguments, a JSON array: only for one id, which then starts from its beginning
    #[arg(long, value_name = "JSON")]
    input: Option<String>,
    #[command(flatten)]
    job: Job,
}

/// What they have in common.
#[derive(Debug, Args)]
#[command(next_help_heading = "Conditions")]
struct Group {
    /// Of the function with this name
    #[arg(long)]
    name: Option<String>,
    /// In this state
    #[arg(long, value_parser = state)]
    state: Option<State>,
    /// That failed alike: as `stepwell dead-letter groups` shows it
    #[arg(long)]
    fingerprint: Option<String>,
    /// Of this queue
    #[arg(long)]
    queue: Option<String>,
}

/// How those that conditions find are tried again.
#[derive(Debug, Args)]
#[command(next_help_heading = "With conditions")]
struct Job {
    /// How many in what time
    #[arg(long, value_parser = rate, default_value = "100/1s", value_name = "N/TIME")]
    rate: NewRate,
    /// How many in all
    #[arg(long, value_name = "N")]
    letters_max: Option<u64>,
    /// Stop once more than so many of them have failed again
    #[arg(long, value_name = "N")]
    failures_max: Option<u32>,
    /// The id of the workflow that tries them; made up unless it is said. With one that is there
    /// nothing is started
    #[arg(long = "as", value_name = "ID")]
    job_id: Option<String>,
    /// Show what would be tried again, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum From {
    /// Everything runs once more
    Start,
    /// What succeeded is kept; what is stuck or dead goes on under its own id
    FailedStep,
}

impl std::convert::From<From> for RedriveFrom {
    fn from(from: From) -> Self {
        match from {
            From::Start => Self::Start,
            From::FailedStep => Self::FailedStep,
        }
    }
}

fn state(text: &str) -> Result<State, String> {
    State::parse(text)
        .filter(|state| STATES.contains(state))
        .ok_or_else(|| "the states of dead letters are failed, stuck and dead".to_owned())
}

/// What came of a letter.
#[derive(Debug, Serialize)]
struct Line {
    id: String,
    /// The id under which it is tried again.
    again: Option<String>,
    error: Option<String>,
    #[serde(skip)]
    exit: Exit,
}

impl Shown for Line {
    const COLUMNS: &'static [&'static str] = &["ID", "AGAIN", "ERROR"];

    fn id(&self) -> &str {
        self.again.as_deref().unwrap_or(&self.id)
    }

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::new(&self.id),
            Cell::maybe(self.again.as_deref()).toned(Tone::Good),
            Cell::maybe(self.error.as_deref()).toned(Tone::Bad),
        ]
    }
}

/// The workflow that tries many.
#[derive(Debug, Serialize)]
struct Started<'a> {
    id: &'a str,
    letters: u64,
}

impl Shown for Started<'_> {
    const COLUMNS: &'static [&'static str] = &["ID", "LETTERS"];

    fn id(&self) -> &str {
        self.id
    }

    fn cells(&self) -> Vec<Cell> {
        vec![Cell::new(self.id), Cell::number(self.letters)]
    }
}

/// Runs the command.
pub(crate) async fn run(
    command: &Redrive,
    client: &Client,
    output: Output,
) -> Result<Exit, Problem> {
    if command.ids.is_empty() {
        return many(command, client, output).await;
    }
    let ids = named(&command.ids)?;
    match &command.input {
        None => {}
        Some(_) if is_many(&command.ids) => {
            return Err(Problem::usage("other arguments are given for several ids")
                .hint("try them one by one"));
        }
        Some(input) => return one_with(input, &ids[0], client, output).await,
    }
    let care = match command.job.yes {
        true => Care::None,
        false if is_many(&command.ids) => Care::AskIfThere,
        false => Care::None,
    };
    if confirm(care, &format!("redrive {}", counted(ids.len())))? == Answer::No {
        eprintln!("nothing was changed");
        return Ok(Exit::Failure);
    }
    let mut lines = Vec::new();
    for id in ids {
        let again = client.redrive(&id, command.from.into()).await;
        lines.push(line(id, again));
    }
    report(&lines, output)
}

async fn one_with(input: &str, id: &str, client: &Client, output: Output) -> Result<Exit, Problem> {
    let input = payload("input", input)?;
    let again = client.redrive_with_input(id, input).await;
    report(&[line(id.to_owned(), again)], output)
}

fn line(id: String, again: Result<String, stepwell_core::Error>) -> Line {
    let (again, problem) = match again {
        Ok(again) => (Some(again), None),
        Err(error) => (None, Some(Problem::from(error))),
    };
    Line {
        id,
        again,
        exit: problem.as_ref().map_or(Exit::Ok, Problem::exit),
        error: problem.map(|it| it.message().to_owned()),
    }
}

fn report(lines: &[Line], output: Output) -> Result<Exit, Problem> {
    output.list(lines)?;
    let exits: Vec<_> = lines.iter().map(|line| line.exit).collect();
    let done = exits.iter().filter(|exit| **exit == Exit::Ok).count();
    eprintln!("redriven {done} of {}", counted(lines.len()));
    Ok(crate::bulk::exit_of(&exits))
}

/// Starts the workflow that tries those that conditions find.
async fn many(command: &Redrive, client: &Client, output: Output) -> Result<Exit, Problem> {
    let job = command.job()?;
    job.check()?;
    let letters = client.dead_letters().await?;
    let letters: Vec<_> = letters
        .iter()
        .filter(|it| command.group.holds(it))
        .collect();
    let count = letters.iter().map(|group| group.count).sum();
    let count = job.letters_max.map_or(count, |most| most.min(count));
    let what = format!(
        "redrive {}",
        counted(usize::try_from(count).unwrap_or(usize::MAX))
    );
    if command.job.dry_run {
        eprintln!("would {what}; nothing was changed");
        return Ok(Exit::Ok);
    }
    if count == 0 && command.group.queue.is_none() {
        eprintln!("no dead letter meets the conditions; nothing was changed");
        return output.list::<Line>(&[]);
    }
    let care = match command.job.yes {
        true => Care::None,
        false => Care::AskOrRefuse,
    };
    if confirm(care, &what)? == Answer::No {
        eprintln!("nothing was changed");
        return Ok(Exit::Failure);
    }
    let made_up = || WorkflowId::generate().to_string();
    let id = command.job.job_id.clone().unwrap_or_else(made_up);
    client.redrive_all(&id, &job).await?;
    eprintln!(
        "the workflow `{id}` tries them again, in a process that runs this application; see how far it \
         has come: stepwell workflow get {id}; stop it: stepwell workflow cancel {id}"
    );
    output.one(&Started {
        id: &id,
        letters: count,
    })
}

impl Redrive {
    fn job(&self) -> Result<redrive::Redrive, Problem> {
        if self.input.is_some() {
            return Err(Problem::usage("other arguments are given, and no id")
                .hint("name the dead letter that they are for"));
        }
        let no_rate = || Problem::usage("a redrive has a rate").hint("such as `--rate 100/1s`");
        let rate: Rate = self.job.rate.0.ok_or_else(no_rate)?;
        let group = &self.group;
        Ok(redrive::Redrive {
            name: group.name.clone(),
            state: group.state,
            fingerprint: group.fingerprint.clone(),
            queue: group.queue.clone(),
            from: self.from.into(),
            rate,
            letters_max: self.job.letters_max,
            failures_max: self.job.failures_max,
        })
    }
}

impl Group {
    /// Whether a group of dead letters is meant, as far as groups say. Their queue they do not.
    fn holds(&self, group: &DeadLetters) -> bool {
        self.name.as_ref().is_none_or(|name| *name == group.name)
            && self.state.is_none_or(|state| state == group.state)
            && (self.fingerprint.is_none() || self.fingerprint == group.fingerprint)
    }
}
