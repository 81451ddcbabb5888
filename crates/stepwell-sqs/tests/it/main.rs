//! Against an endpoint that somebody else wrote: `tests/with-sqs` starts one.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod consuming;
mod endpoint;
mod fifo;
mod success;
