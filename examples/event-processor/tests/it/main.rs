//! The event processor as those meet it who send it events: its routes, and its processes, which are
//! killed.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod patterns;
mod proof;
mod sign;
