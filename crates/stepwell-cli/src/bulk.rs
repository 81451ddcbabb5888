//! Does something to many workflows, and says what came of it.

use anstream::eprintln;
use clap::Args;
use futures_util::{StreamExt, stream};
use serde::Serialize;
use stepwell_core::{BoxFuture, Client, Error, State, store::Workflow};

use crate::{
    choice::{Conditions, Which, is_many, named},
    confirm::{Answer, Care, confirm},
    exit::{Exit, Problem},
    output::{Output, Shown},
    table::{Cell, Tone},
};

/// How many requests are on their way at once; the client writes them together.
const AT_ONCE: usize = 64;

/// Which workflows, and whether to ask.
#[derive(Debug, Args)]
pub(crate) struct Bulk {
    /// The workflows' ids; `-` reads them from standard input, one a line
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    conditions: Conditions,
    /// Show what it would be done to, and do nothing
    #[arg(long, help_heading = "Care")]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long, help_heading = "Care")]
    yes: bool,
}

/// Something that can be done to a workflow.
pub(crate) struct Deed<'d> {
    /// `cancel`
    pub(crate) verb: &'static str,
    /// `cancelled`
    pub(crate) done: &'static str,
    /// What conditions find it among.
    pub(crate) which: Which,
    /// The states in which it makes sense: what conditions find that name no state.
    pub(crate) states: &'static [State],
    pub(crate) act: &'d Act<'d>,
}

/// Does it to one workflow.
type Act<'d> = dyn for<'a> Fn(&'a Client, &'a str) -> BoxFuture<'a, Result<(), Error>> + 'd;

/// What came of it for one workflow.
#[derive(Debug, Serialize)]
struct Done {
    id: String,
    /// The deed's word, or `error`.
    outcome: &'static str,
    error: Option<String>,
    #[serde(skip)]
    exit: Exit,
}

impl Shown for Done {
    const COLUMNS: &'static [&'static str] = &["ID", "OUTCOME", "ERROR"];

    fn id(&self) -> &str {
        &self.id
    }

    fn cells(&self) -> Vec<Cell> {
        let tone = if self.error.is_some() {
            Tone::Bad
        } else {
            Tone::Good
        };
        vec![
            Cell::new(&self.id),
            Cell::new(self.outcome).toned(tone),
            Cell::maybe(self.error.as_deref()),
        ]
    }
}

/// Does it to every workflow that is chosen.
pub(crate) async fn run(
    bulk: Bulk,
    deed: &Deed<'_>,
    client: &Client,
    output: Output,
) -> Result<Exit, Problem> {
    let chosen = choose(&bulk, deed, client).await?;
    if bulk.dry_run {
        return show(&chosen, deed, client, output).await;
    }
    let ids = chosen.ids();
    if ids.is_empty() {
        eprintln!("no workflow meets the conditions; nothing was changed");
        return output.list::<Done>(&[]);
    }
    let question = format!("{} {}", deed.verb, counted(ids.len()));
    let care = match &chosen {
        _ if bulk.yes => Care::None,
        Chosen::Found(_) => Care::AskOrRefuse,
        Chosen::Named(_) if is_many(&bulk.ids) => Care::AskIfThere,
        Chosen::Named(_) => Care::None,
    };
    if confirm(care, &question)? == Answer::No {
        eprintln!("nothing was changed");
        return Ok(Exit::Failure);
    }
    report(&act(ids, deed, client).await, deed, output)
}

/// The workflows that a command is about.
enum Chosen {
    Named(Vec<String>),
    Found(Vec<Workflow>),
}

impl Chosen {
    fn ids(&self) -> Vec<String> {
        match self {
            Self::Named(ids) => ids.clone(),
            Self::Found(found) => found.iter().map(|it| it.id.to_string()).collect(),
        }
    }
}

async fn choose(bulk: &Bulk, deed: &Deed<'_>, client: &Client) -> Result<Chosen, Problem> {
    match (bulk.ids.is_empty(), bulk.conditions.is_empty()) {
        (false, true) => Ok(Chosen::Named(named(&bulk.ids)?)),
        (true, false) => {
            let mut conditions = bulk.conditions.clone();
            if conditions.state.is_empty() {
                conditions.state = deed.states.to_vec();
            }
            let found = conditions.find(deed.which, client, usize::MAX).await?;
            Ok(Chosen::Found(found))
        }
        (true, true) => Err(Problem::usage(format!(
            "nothing says which workflows to {}",
            deed.verb
        ))
        .hint("name their ids, or give a condition such as `--state` or `--name`")),
        (false, false) => Err(Problem::usage("both ids and conditions are given")
            .hint("name ids, or give conditions and let them find the workflows")),
    }
}

/// Lists what it would be done to.
async fn show(
    chosen: &Chosen,
    deed: &Deed<'_>,
    client: &Client,
    output: Output,
) -> Result<Exit, Problem> {
    let mut exit = Exit::Ok;
    let workflows = match chosen {
        Chosen::Found(found) => found.clone(),
        Chosen::Named(ids) => {
            let mut there = Vec::new();
            for id in ids {
                match client.get(id).await? {
                    Some(workflow) => there.push(workflow),
                    None => {
                        Problem::from(Error::no_such_workflow(id)).print();
                        exit = Exit::Partial;
                    }
                }
            }
            if there.is_empty() {
                exit = Exit::NotFound;
            }
            there
        }
    };
    output.list(&workflows)?;
    eprintln!(
        "would {} {}; nothing was changed",
        deed.verb,
        counted(workflows.len())
    );
    Ok(exit)
}

async fn act(ids: Vec<String>, deed: &Deed<'_>, client: &Client) -> Vec<Done> {
    let acts = ids.into_iter().map(|id| async {
        let problem = (deed.act)(client, &id).await.err().map(Problem::from);
        Done {
            outcome: if problem.is_none() {
                deed.done
            } else {
                "error"
            },
            exit: problem.as_ref().map_or(Exit::Ok, Problem::exit),
            error: problem.map(|it| it.message().to_owned()),
            id,
        }
    });
    stream::iter(acts).buffered(AT_ONCE).collect().await
}

fn report(all: &[Done], deed: &Deed<'_>, output: Output) -> Result<Exit, Problem> {
    output.list(all)?;
    let exits: Vec<_> = all.iter().map(|done| done.exit).collect();
    let done = exits.iter().filter(|exit| **exit == Exit::Ok).count();
    eprintln!("{} {done} of {}", deed.done, counted(all.len()));
    Ok(exit_of(&exits))
}

/// How the whole ended.
pub(crate) fn exit_of(exits: &[Exit]) -> Exit {
    let failed: Vec<_> = exits.iter().filter(|exit| **exit != Exit::Ok).collect();
    match failed.as_slice() {
        [] => Exit::Ok,
        some if some.len() < exits.len() => Exit::Partial,
        [first, rest @ ..] if rest.iter().all(|exit| exit == first) => **first,
        _ => Exit::Failure,
    }
}

pub(crate) fn counted(number: usize) -> String {
    if number == 1 {
        "1 workflow".to_owned()
    } else {
        format!("{number} workflows")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_ends_as_its_parts_did() {
        use Exit::{Failure, NotFound, Ok, Partial, Unreachable};
        for (parts, whole) in [
            (vec![], Ok),
            (vec![Ok, Ok], Ok),
            (vec![Ok, NotFound], Partial),
            (vec![NotFound, NotFound], NotFound),
            (vec![Unreachable], Unreachable),
            (vec![NotFound, Failure], Failure),
        ] {
            assert_eq!(exit_of(&parts), whole, "{parts:?}");
        }
    }
}
