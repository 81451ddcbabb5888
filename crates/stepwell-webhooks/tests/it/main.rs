//! Deliveries as providers sign them, and as nobody should.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod documented;
mod live;
mod properties;
mod providers;
mod routes;
mod sign;
