//! One suite of named test cases for every store of Stepwell.
//!
//! The contract is the documentation of [`stepwell_core::store`]; every case here is one behaviour
//! that it promises, written as a sentence. A store says how it is had by a [`Backend`] and runs
//! all of them with one line:
//!
//! ```ignore
//! // crates/stepwell-sqlite/tests/it/main.rs
//! stepwell_conformance::conformance!(crate::backend::SqliteFile::new());
//! ```
//!
//! # Layout
//! - [`Backend`]: how a store is had, and where it may differ.
//! - [`conformance!`]: a `#[tokio::test]` for each case; the list of cases is in `cases.rs`.
//! - A module for each concern; [`starts`] is a good one to begin with.
//! - [`Spoiled`]: a store that fails where it is told to, for tests of the engine.
//! - [`Losing`]: for tests of a [`Tx`](stepwell_core::Tx), which is no store.
//! - `fixture.rs`: what the cases are built on.

mod backend;
mod cases;
mod fixture;
mod losing;
mod run;
mod spoiled;

pub mod alerts;
pub mod attributes;
pub mod batches;
pub mod bounds;
pub mod cancel;
pub mod children;
pub mod claims;
pub mod dead_letters;
pub mod deadlines;
pub mod declarations;
pub mod delays;
pub mod delete;
pub mod events;
pub mod explaining;
pub mod finish;
pub mod follow;
pub mod fork;
pub mod history;
pub mod interrupts;
pub mod leases;
pub mod lists;
pub mod messages;
pub mod newer;
pub mod nonces;
pub mod oracle;
pub mod parking;
pub mod priorities;
pub mod processes;
pub mod progress;
pub mod queue_bounds;
pub mod queue_control;
pub mod queue_keys;
pub mod queue_rates;
pub mod queues;
pub mod recovery;
pub mod repeat;
pub mod resume;
pub mod schedules;
pub mod second_tries;
pub mod starts;
pub mod streams;
pub mod stuck;
pub mod takeovers;
pub mod unique;
pub mod waking;

pub use backend::Backend;
pub use losing::{Losing, LosingHome, LosingSource};
#[doc(hidden)]
pub use run::run;
pub use spoiled::{Fault, Spoil, Spoiled};
