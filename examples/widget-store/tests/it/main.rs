//! The store as its visitors meet it: the real program, over HTTP, killed for real.
//!
//! What touches the database runs on both: in SQLite files, and in a Postgres database of its own on
//! the server that `STEPWELL_TEST_POSTGRES` names.

#![allow(
    clippy::unwrap_used,
    reason = "what a test expects and does not get ends the test"
)]

mod crashes;
mod fleet;
mod http;
mod live;
mod page;
mod place;
mod start;
mod store;
