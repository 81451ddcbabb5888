//! `stepwell workflow get`.

use clap::Args;
use serde::Serialize;
use stepwell_core::{
    Client, Error, Outcome, Payload, State, Takeover, Why,
    store::{PublishedEvent, Workflow},
};

use crate::{
    choice::{is_many, named},
    exit::{Exit, Problem},
    output::{Output, Shown},
    table::{Cell, Tone},
};

/// Which workflows.
#[derive(Debug, Args)]
pub(crate) struct Get {
    /// The workflows' ids; `-` reads them from standard input, one a line. JSON is an object for one
    /// id, and an array for several or for `-`
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
}

/// A workflow with everything about it but its operations.
#[derive(Debug)]
struct Found {
    workflow: Workflow,
    input: Option<Payload>,
    result: Option<Outcome>,
    events: Vec<PublishedEvent>,
    takeovers: Vec<Takeover>,
    children: Vec<Workflow>,
    why: Why,
}

/// Its page.
#[derive(Debug, Serialize)]
struct Page<'a> {
    #[serde(flatten)]
    workflow: &'a Workflow,
    input: Option<&'a Payload>,
    output: Option<&'a Payload>,
    error: Option<&'a Payload>,
    events: &'a [PublishedEvent],
    takeovers: &'a [Takeover],
    /// Their ids.
    children: Vec<&'a str>,
    /// The reason that it does not go on, or what it does.
    why: Because<'a>,
}

/// A reason, and the same in a sentence.
#[derive(Debug, Serialize)]
struct Because<'a> {
    #[serde(flatten)]
    why: &'a Why,
    sentence: String,
}

impl Found {
    async fn read(client: &Client, id: &str) -> Result<Self, Error> {
        let workflow = client.get(id).await?;
        let workflow = workflow.ok_or_else(|| Error::no_such_workflow(id))?;
        let history = client.history(id).await?;
        Ok(Self {
            workflow,
            input: history.input,
            result: history.result,
            events: client.events(id).await?,
            takeovers: client.takeovers(id).await?,
            children: client.children(id).await?,
            why: client.explain(id).await?,
        })
    }

    fn page(&self) -> Page<'_> {
        let (output, error) = match &self.result {
            Some(Outcome::Ok(output)) => (Some(output), None),
            Some(Outcome::Err(error)) => (None, Some(error)),
            None => (None, None),
        };
        Page {
            workflow: &self.workflow,
            input: self.input.as_ref(),
            output,
            error,
            events: &self.events,
            takeovers: &self.takeovers,
            children: self.children.iter().map(|it| it.id.as_str()).collect(),
            why: Because {
                why: &self.why,
                sentence: self.why.to_string(),
            },
        }
    }
}

impl Shown for Page<'_> {
    const COLUMNS: &'static [&'static str] = Workflow::COLUMNS;

    fn id(&self) -> &str {
        self.workflow.id.as_str()
    }

    fn cells(&self) -> Vec<Cell> {
        self.workflow.cells()
    }

    fn fields(&self) -> Vec<(&'static str, Cell)> {
        let mut fields = self.workflow.fields();
        // Below the state and the reason. Of what rests or is parked the reason says all.
        let is_said = matches!(
            self.workflow.state,
            State::Delayed | State::Enqueued | State::Running
        );
        if is_said {
            fields.insert(3, ("WHY", Cell::new(&self.why.sentence)));
        }
        fields.push(("INPUT", Cell::maybe(self.input.map(Payload::as_str))));
        fields.push(("OUTPUT", Cell::maybe(self.output.map(Payload::as_str))));
        let error = Cell::maybe(self.error.map(Payload::as_str)).toned(Tone::Bad);
        fields.push(("ERROR", error));
        for event in self.events {
            let text = format!("{} = {}", event.name, event.value.as_str());
            fields.push(("EVENT", Cell::new(text)));
        }
        for taken in self.takeovers {
            let (why, from, to, replayed) = (&taken.why, &taken.from, &taken.to, taken.replayed);
            let text = format!("{why}: from {from} to {to}, {replayed} records replayed");
            fields.push(("TAKE-OVER", Cell::new(text)));
        }
        for child in &self.children {
            fields.push(("CHILD", Cell::new(child)));
        }
        fields
    }
}

/// Runs the command.
pub(crate) async fn run(command: &Get, client: &Client, output: Output) -> Result<Exit, Problem> {
    let ids = named(&command.ids)?;
    let mut all = Vec::new();
    for id in &ids {
        match Found::read(client, id).await {
            Ok(found) => all.push(found),
            Err(error) => {
                let problem = Problem::from(error);
                if problem.exit() != Exit::NotFound {
                    return Err(problem);
                }
                problem.print();
            }
        }
    }
    let pages: Vec<_> = all.iter().map(Found::page).collect();
    match (pages.as_slice(), is_many(&command.ids)) {
        ([page], false) => output.one(page)?,
        ([], false) => return Ok(Exit::NotFound),
        (pages, _) => output.each(pages)?,
    };
    Ok(match pages.len() {
        all if all == ids.len() => Exit::Ok,
        0 => Exit::NotFound,
        _ => Exit::Partial,
    })
}
