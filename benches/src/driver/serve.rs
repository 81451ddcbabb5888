//! A library that takes commands, so that rounds of several of them can be run in turn.
//!
//! It says what it is set to, then takes one command a line and answers each with one line of JSON:
//!
//! - `round <steps> <at once> <workflows>`
//! - `wakes <times>`, `queued <times>`
//! - `drain <more> <slice>`
//! - `waiting <workflows> <seconds>`
//!
//! The end of its input ends it.

use std::{io, time::Duration};

use serde_json::{Value, json};

use super::{
    Error, Library, drain,
    rounds::{self, Work},
    waiting, wakes,
};

/// Takes commands until there are no more. `poll` is how often the library looks into its queues.
pub(crate) async fn serve<L: Library>(
    library: L,
    settings: &str,
    poll: Duration,
) -> Result<(), Error> {
    println!("{}", json!({ "settings": settings }));
    // Nothing else happens on this thread between two commands.
    for line in io::stdin().lines() {
        let answer = answer(&library, &line?, poll).await;
        let answer = answer.unwrap_or_else(|error| json!({ "error": error.to_string() }));
        println!("{answer}");
    }
    Ok(())
}

async fn answer<L: Library>(library: &L, line: &str, poll: Duration) -> Result<Value, Error> {
    let words: Vec<&str> = line.split_whitespace().collect();
    Ok(match words.as_slice() {
        ["round", count, at_once, total] => {
            let work = Work {
                count: count.parse()?,
                at_once: at_once.parse()?,
                total: total.parse()?,
            };
            json!(rounds::run(library, work).await?)
        }
        ["wakes", times] => json!(wakes::wakes(library, times.parse()?).await?),
        ["queued", times] => json!(wakes::queued(library, times.parse()?, poll).await?),
        ["drain", more, slice] => {
            json!(drain::drain(library, more.parse()?, slice.parse()?).await?)
        }
        ["waiting", count, seconds] => {
            let idle = Duration::from_secs(seconds.parse()?);
            json!(waiting::waiting(library, count.parse()?, idle).await?)
        }
        _ => return Err(format!("no such command: `{line}`").into()),
    })
}
