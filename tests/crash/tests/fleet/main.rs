//! A fleet on Postgres: three executors as real processes, under load, and whatever can happen to
//! them, to the server, and to the connections in between.
//!
//! # Layout
//! - `server`, `pooler`: the Postgres of one test, which may be restarted, and a PgBouncer before it
//! - `member`, `fleet`: the executors
//! - `load`: what is started, and what must come of it
//! - `trouble`, `scene`: what happens to them, by a seed
//! - `audit`: what the rows say afterwards; `proof`: what must be true of them
//! - `troubles`: the tests
//! - `power`: the test in which the power goes

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed, and each tells its counts"
)]

mod audit;
mod fleet;
mod load;
mod member;
mod pooler;
mod power;
mod proof;
mod scene;
mod server;
mod trouble;
mod troubles;
