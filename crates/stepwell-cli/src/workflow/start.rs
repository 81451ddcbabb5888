//! `stepwell workflow start`: a workflow by its name. An executor that registers the name runs it.

use std::{str::FromStr, time::Duration};

use anstream::eprintln;
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use stepwell_core::{
    Client, Payload, StartOutcome, State, Why, WorkflowId,
    store::{Launch, NewWorkflow, QueueUse},
};

use super::send::read;
use crate::{
    choice::attribute,
    exit::{Exit, Problem},
    instant::{self, Instant},
    output::{Output, Shown},
    table::Cell,
};

/// The origin of such workflows, as lists and tallies show it.
const ORIGIN: &str = "cli";

/// The workflow to start, and how.
#[derive(Debug, Args)]
pub(crate) struct Start {
    /// The name of the function. No program needs to run here: an executor that registers the name
    /// takes it
    name: String,
    /// The arguments, a JSON array: '["cup", 2]'; `-` reads it from standard input
    #[arg(default_value = "[]", hide_default_value = true, value_name = "JSON")]
    arguments: String,
    /// The workflow's id; made up unless it is said. The same start again starts nothing
    #[arg(long)]
    id: Option<String>,
    /// Starts it after a time: `90s`, `2h`
    #[arg(long, value_parser = duration, value_name = "TIME", conflicts_with = "at")]
    delay: Option<Duration>,
    /// Starts it at an instant: `2030-05-05T10:00:00Z`, or a date. One that has passed is now
    #[arg(long, value_parser = at, value_name = "INSTANT")]
    at: Option<Timestamp>,
    /// Cancels it if it has not ended after a time
    #[arg(long, value_parser = duration, value_name = "TIME")]
    deadline: Option<Duration>,
    /// Sends it through a queue
    #[arg(long)]
    queue: Option<String>,
    /// For whom it waits in the queue: keys take turns
    #[arg(long, requires = "queue")]
    key: Option<String>,
    /// Each point counts in the queue like a minute of waiting
    #[arg(
        long,
        requires = "queue",
        allow_negative_numbers = true,
        value_name = "N"
    )]
    priority: Option<i32>,
    /// An attribute for search: `customer=ada`; may be given more than once
    #[arg(long = "attribute", value_parser = attribute, value_name = "NAME=VALUE")]
    attributes: Vec<(String, String)>,
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = SignedDuration::from_str(text).ok();
    let duration = duration.and_then(|it| Duration::try_from(it).ok());
    duration.ok_or_else(|| "write a time such as `90s`, `2h 30m`, `48h`".to_owned())
}

fn at(text: &str) -> Result<Timestamp, String> {
    match instant::parse(text) {
        Ok(Instant::At(instant)) => Ok(instant),
        Ok(Instant::Ago(_)) | Err(_) => Err(
            "write an instant with its offset (`2030-05-05T10:00:00Z`) or a date (`2030-05-05`)"
                .to_owned(),
        ),
    }
}

/// The part of wrong arguments that an error repeats.
const REPEATED_CHARACTERS: usize = 40;

/// The beginning of a text, and whether that is not all of it.
fn beginning(text: &str) -> (&str, bool) {
    match text.char_indices().nth(REPEATED_CHARACTERS) {
        Some((end, _)) => (&text[..end], true),
        None => (text, false),
    }
}

impl Start {
    /// The workflow to start. `now` is by the clock of the database.
    fn new_workflow(&self, now: Timestamp) -> Result<NewWorkflow, Problem> {
        let id = match &self.id {
            Some(id) => WorkflowId::given(id.as_str())?,
            None => WorkflowId::generate(),
        };
        let arguments = read("array of arguments", &self.arguments)?;
        if arguments.read::<Vec<Payload>>().is_err() {
            let problem = Problem::usage("the arguments of a workflow are a JSON array");
            let (written, is_cut) = beginning(arguments.as_str());
            let more = if is_cut { "…" } else { "" };
            let hint = format!("write `[{written}{more}]` instead of `{written}{more}`");
            return Err(problem.hint(hint));
        }
        let until = |at: Timestamp| Duration::try_from(at.duration_since(now)).unwrap_or_default();
        Ok(NewWorkflow {
            launch: self.launch(),
            delay: self.delay.or(self.at.map(until)),
            deadline: self.deadline,
            attributes: self.attributes.clone(),
            origin: Some(ORIGIN.to_owned()),
            ..NewWorkflow::new(id, self.name.as_str(), arguments)
        })
    }

    fn launch(&self) -> Launch {
        let Some(queue) = &self.queue else {
            return Launch::Anywhere;
        };
        Launch::Queue(QueueUse {
            key: self.key.clone().unwrap_or_default(),
            priority: self.priority.unwrap_or_default(),
            ..QueueUse::new(queue)
        })
    }
}

/// The outcome, as it is shown.
#[derive(Debug, Serialize)]
struct Line<'a> {
    id: &'a str,
    name: &'a str,
    /// `started`, or `existing` if it was there with the same arguments.
    outcome: &'static str,
    /// The state of one that was there; none of one that was started just now.
    state: Option<State>,
}

impl Shown for Line<'_> {
    const COLUMNS: &'static [&'static str] = &["ID", "NAME", "OUTCOME", "STATE"];

    fn id(&self) -> &str {
        self.id
    }

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::new(self.id),
            Cell::new(self.name),
            Cell::new(self.outcome),
            self.state.map_or_else(|| Cell::new(""), Cell::state),
        ]
    }
}

/// Runs the command.
pub(crate) async fn run(command: &Start, client: &Client, output: Output) -> Result<Exit, Problem> {
    let new = command.new_workflow(client.now())?;
    let (id, name) = (new.id.to_string(), command.name.as_str());
    let (outcome, state) = match client.start(new).await? {
        StartOutcome::New => {
            eprintln!("started `{name}` as `{id}`");
            tell_if_nothing_takes_it(client, &id).await;
            ("started", None)
        }
        StartOutcome::Existing(state) => {
            eprintln!("`{id}` is there already, with the same arguments; nothing was started");
            ("existing", Some(state))
        }
    };
    output.one(&Line {
        id: &id,
        name,
        outcome,
        state,
    })
}

/// A name that is written by hand may be written wrongly. It is started all the same: an executor
/// that registers it may come later.
async fn tell_if_nothing_takes_it(client: &Client, id: &str) {
    if let Ok(why @ (Why::Unregistered { .. } | Why::NoExecutor { .. })) = client.explain(id).await
    {
        eprintln!("it waits: {}", crate::terminal::clean(&why.to_string()));
    }
}
