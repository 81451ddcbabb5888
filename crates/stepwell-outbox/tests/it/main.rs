//! Outboxes in SQLite and in Postgres.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cases;
mod place;
