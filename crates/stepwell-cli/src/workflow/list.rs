//! `stepwell workflow list`.

use anstream::eprintln;
use clap::Args;
use stepwell_core::Client;

use crate::{
    choice::{Conditions, Which},
    exit::{Exit, Problem},
    output::Output,
};

/// Which workflows.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    conditions: Conditions,
    /// How many at most
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

/// Runs the command.
pub(crate) async fn run(
    command: &List,
    which: Which,
    client: &Client,
    output: Output,
) -> Result<Exit, Problem> {
    let limit = usize::try_from(command.limit).unwrap_or(usize::MAX);
    // One more tells whether there are more.
    let mut found = command
        .conditions
        .find(which, client, limit.saturating_add(1))
        .await?;
    let is_cut = found.len() > limit;
    found.truncate(limit);
    output.list(&found)?;
    if is_cut {
        eprintln!("the newest {limit} are shown and there are more; see them with `--limit`");
    }
    Ok(Exit::Ok)
}
