//! A widget store whose checkout survives its own crash button.
//!
//! # Layout
//! - [`checkout`](mod@checkout): the two workflows. Start reading here.
//! - [`orders`]: the transactions that they run, in the shop's own database.
//! - [`shop`]: the state that they share, and the tables.
//! - [`crash`]: the crash button; `crash_log`: what is known of each crash.
//! - `supervisor`, `worker`: one process owns the port, the other one serves, and dies.
//! - `server`, `endpoints`, `assets`: HTTP.
//! - `live`, `view`, `timeline`: what the page shows while it happens.

#![allow(
    clippy::missing_errors_doc,
    reason = "workflows and transactions fail as their database does, and in no way of their own"
)]

pub mod checkout;
pub mod crash;
pub mod orders;
pub mod shop;

mod assets;
mod config;
mod crash_log;
mod endpoints;
mod live;
mod server;
mod supervisor;
mod timeline;
mod view;
mod worker;

pub use config::Config;
pub use supervisor::supervise;
pub use worker::work;
