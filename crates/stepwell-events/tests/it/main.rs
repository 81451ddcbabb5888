//! What comes in from sources, on a database in memory.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod intake;
mod order;
mod poison;
mod source;
