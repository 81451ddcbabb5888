//! What a scrape says after workflows and events of every fate.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod scene;
mod scrape;
