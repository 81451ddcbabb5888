//! Every header and status of the web integration, by name.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod dead_letters;
mod errors;
mod hostile;
mod idempotency;
mod listening;
mod live;
mod requests;
mod serving;
mod shop;
mod spans;
mod transactions;
