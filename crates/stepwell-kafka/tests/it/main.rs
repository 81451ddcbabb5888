//! Consumers against librdkafka's own mock cluster: real groups, rebalances and commits.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cluster;
mod consuming;
mod group;
mod real;
