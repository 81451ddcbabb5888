//! One application for every way in which events come: signed webhooks, Kafka, SQS, requests with
//! idempotency keys, and events of its own. Each is processed exactly once, whatever is killed.
//!
//! The pattern is the same everywhere: what tells an event from others is its workflow's id, so that
//! what comes again finds the workflow that is there; and whoever sent it is answered after the start
//! is on disk.
//!
//! # Layout
//! - [`sources`]: which source starts which workflow. Read this first.
//! - [`events`]: one processor for events of several sources, with a log of them all.
//! - [`inventory`] (Kafka), [`orders`] (SQS), [`payments`] (idempotency keys), [`accounts`] (event
//!   sourcing), [`readings`] (composite ids): one pattern each.
//! - [`alerts`]: what happens when something fails for good.
//! - [`processor`]: the state and the tables. [`outside`]: services of others.
//! - [`server`]: the routes. `names`: which texts they take. [`config`]: what the environment says.

#![allow(
    clippy::missing_errors_doc,
    reason = "workflows and transactions fail as their database does, and in no way of their own"
)]

pub mod accounts;
pub mod alerts;
pub mod config;
pub mod events;
pub mod inventory;
mod names;
pub mod orders;
pub mod outside;
pub mod payments;
pub mod processor;
pub mod readings;
pub mod server;
pub mod sources;
