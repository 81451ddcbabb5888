//! A workflow whose transactions are written with diesel-async.
//!
//! Stepwell knows nothing of diesel: its trait [`Tx`](stepwell::Tx) is open, and here is an
//! implementation to take along.
//!
//! # Layout
//! - [`orders`]: a workflow and its transaction. Start reading here.
//! - [`tx`]: [`DieselTx`](tx::DieselTx), a transaction that happens once.
//! - `witness`: the row that makes it so.

pub mod orders;
pub mod tx;
mod witness;
