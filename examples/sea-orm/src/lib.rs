//! A workflow whose transactions are written with SeaORM.
//!
//! Stepwell knows nothing of SeaORM: its trait [`Tx`](stepwell::Tx) is open, and here is an
//! implementation to take along.
//!
//! # Layout
//! - [`orders`]: a workflow and its transaction. Start reading here.
//! - [`tx`]: [`OrmTx`](tx::OrmTx), a transaction that happens once.
//! - `connection`: it runs queries and notices what goes wrong.
//! - `witness`: the row that makes it happen once.

mod connection;
pub mod orders;
pub mod tx;
mod witness;
