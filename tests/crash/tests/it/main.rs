//! Real processes on SQLite, killed, stopped and starved; and what is left of their workflows.
//!
//! # Layout
//! - `place`, `victim`, `wait`: the files of a test, its processes, and waiting for them
//! - `journal`, `shop`, `steps`: what the databases and the log say afterwards
//! - the others: the tests, a file for each kind of trouble

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed, and each tells its counts"
)]

mod dead;
mod disk;
mod handover;
mod journal;
mod lost_answer;
mod place;
mod power;
mod random;
mod redrive;
mod shop;
mod steps;
mod sweep;
mod takeover;
mod victim;
mod wait;
mod zombie;
