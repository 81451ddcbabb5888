//! Which workflows a command is about: those that are named, or those that a filter finds.

use std::io::{self, BufRead};

use clap::Args;
use stepwell_core::{
    Client, State, Timestamp,
    store::{Filter, Workflow},
};

use crate::{
    exit::Problem,
    instant::{self, Instant},
};

/// How many workflows are read at once.
const PAGE: u32 = 1_000;

/// What conditions are about, before any of them is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// All workflows.
    All,
    /// Dead letters that nobody has acknowledged.
    NewDeadLetters,
}

/// Conditions on workflows. Every one that is given must hold.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Conditions")]
pub(crate) struct Conditions {
    /// In this state, or in one of these: `failed,dead`
    #[arg(long, value_delimiter = ',', value_parser = state, value_name = "STATE")]
    pub(crate) state: Vec<State>,
    /// Of the function with this name
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Of this queue
    #[arg(long)]
    pub(crate) queue: Option<String>,
    /// With an id that begins so
    #[arg(long, value_name = "PREFIX")]
    pub(crate) id_prefix: Option<String>,
    /// With this attribute: `customer=ada`
    #[arg(long, value_parser = attribute, value_name = "NAME=VALUE")]
    pub(crate) attribute: Option<(String, String)>,
    /// That failed alike: as `stepwell dead-letter groups` shows it
    #[arg(long)]
    pub(crate) fingerprint: Option<String>,
    /// Started then or later: an instant, a date, or how long ago (`2h`, `7d`)
    #[arg(long, value_parser = instant::parse, value_name = "INSTANT")]
    pub(crate) since: Option<Instant>,
    /// Started before then
    #[arg(long, value_parser = instant::parse, value_name = "INSTANT")]
    pub(crate) until: Option<Instant>,
}

impl Conditions {
    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.state.is_empty()
            && self.name.is_none()
            && self.queue.is_none()
            && self.id_prefix.is_none()
            && self.attribute.is_none()
            && self.fingerprint.is_none()
            && self.since.is_none()
            && self.until.is_none()
    }

    fn filter(&self, now: Timestamp) -> Filter {
        Filter {
            states: self.state.clone(),
            name: self.name.clone(),
            queue: self.queue.clone(),
            id_prefix: self.id_prefix.clone(),
            attribute: self.attribute.clone(),
            fingerprint: self.fingerprint.clone(),
            created_from: self.since.map(|since| since.by(now)),
            created_before: self.until.map(|until| until.by(now)),
            ..Filter::default()
        }
    }

    /// The workflows that meet them, newest first, up to `limit`.
    pub(crate) async fn find(
        &self,
        which: Which,
        client: &Client,
        limit: usize,
    ) -> Result<Vec<Workflow>, Problem> {
        let mut filter = Filter {
            unacknowledged: which == Which::NewDeadLetters,
            ..self.filter(client.now())
        };
        let mut found: Vec<Workflow> = Vec::new();
        loop {
            let left = u32::try_from(limit - found.len()).unwrap_or(u32::MAX);
            if left == 0 {
                return Ok(found);
            }
            filter.limit = left.min(PAGE);
            let page = client.list(filter.clone()).await?;
            let is_last = page.len() < usize::try_from(filter.limit).unwrap_or(usize::MAX);
            filter.before = page.last().map(|last| last.key);
            found.extend(page);
            if is_last {
                return Ok(found);
            }
        }
    }
}

fn state(text: &str) -> Result<State, String> {
    State::parse(text).ok_or_else(|| {
        let states: Vec<_> = State::ALL.iter().map(|state| state.as_str()).collect();
        format!("the states are {}", states.join(", "))
    })
}

pub(crate) fn attribute(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write the name and the value: `customer=ada`".to_owned()),
    }
}

/// The ids that were named; `-` stands for those on standard input, one a line.
pub(crate) fn named(ids: &[String]) -> Result<Vec<String>, Problem> {
    let mut all = Vec::new();
    for id in ids {
        if id != "-" {
            all.push(id.clone());
            continue;
        }
        all.extend(listed(io::stdin().lock())?);
    }
    Ok(all)
}

/// Ids, one a line. Nothing of a line is taken away: an id may end in a blank, and without it would be
/// another one.
fn listed(lines: impl BufRead) -> io::Result<Vec<String>> {
    let ids = lines
        .lines()
        .filter(|id| !matches!(id, Ok(id) if id.is_empty()));
    ids.collect()
}

/// Whether what a command is about depends on more than the ids in its arguments.
pub(crate) fn is_many(ids: &[String]) -> bool {
    ids.len() != 1 || ids.iter().any(|id| id == "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written() {
        let read = listed(&b"order-1 \n\n  order-2\r\norder-3\xc2\xa0\n-"[..]);
        assert_eq!(
            read.expect("they are text"),
            ["order-1 ", "  order-2", "order-3\u{a0}", "-"]
        );
    }
}
