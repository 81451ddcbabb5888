//! The store as its visitors meet it: the real program, over HTTP, killed for real.

#![allow(
    clippy::unwrap_used,
    reason = "what a test expects and does not get ends the test"
)]

mod crashes;
mod http;
mod live;
mod page;
mod start;
mod store;
