//! The command line as people use it: real processes, on both stores.
//!
//! What it prints is kept as transcripts in `snapshots`. `INSTA_UPDATE=always cargo test -p
//! stepwell-cli` writes them anew; read the difference before it is committed.

#![allow(missing_docs, reason = "tests are sentences")]
#![allow(clippy::unwrap_used, reason = "also in what tests share")]

mod addresses;
mod dev;
mod executors;
mod local_postgres;
mod migrate;
mod place;
mod shop;
mod start;
mod terminal;
mod transcript;
mod transcripts;
