//! Keeps the workflows of Stepwell in a schema of a Postgres database.
//!
//! Linking the crate is enough for `database("postgres://user:password@host/shop")`: it registers
//! the schemes `postgres` and `postgresql`.
//!
//! # The address
//! What libpq and tokio-postgres know (`sslmode`, `sslrootcert`, `connect_timeout`, `options`, …),
//! and:
//! - `schema`: where the tables are; `stepwell` unless it is said
//! - `statement_timeout`, `lock_timeout`, `idle_in_transaction_session_timeout`: milliseconds. A call
//!   that has no answer after twice the first one fails, and its connection is closed
//! - `pooled`: whether something like PgBouncer hands out another connection for each transaction;
//!   found out when the store is opened, unless `true` or `false` says it
//!
//! # Rights
//! Whoever opens the store first needs `create` on the database; the schema is made and brought up
//! to date then. Afterwards `usage` on the schema, `select, insert, update, delete` on its tables
//! and `usage, select` on its sequences are enough.
//!
//! Starts and sends in a transaction of the user's own ([`Enlist`]) run with the rights of that
//! transaction's role. It needs `usage` on the schema, `select` on `identity`, `workflows`,
//! `records`, `queues` and `messages`, `insert` on all of these but `identity` and on `attributes`,
//! to send also `update` on the columns `state`, `reason` and `wake_at` of `workflows`, because a
//! message wakes a parked workflow, and `usage` on the sequences `changes`,
//! `workflows_workflow_key_seq` and `messages_message_number_seq`. The functions `start_workflow` and `send_message` are everybody's,
//! and give nobody a right that they do not have.
//!
//! The schema must be in the database of the transaction: `database("postgres://…")` names the
//! database that the pool is connected to. The notification that such a transaction leaves makes its
//! commit wait for other commits that notify; behind a pooler that loses notifications, what it left
//! may be noticed a few seconds late.
//!
//! # Layout
//! - `store`: [`PostgresStore`], and how a call comes to a connection
//! - `url`, `tls`, `open`, `schema`: from an address to a migrated database
//! - `server`, `connection`, `pool`, `params`: connections and their statements
//! - `jobs`, `apart`: how often and how long a statement is tried, and on which thread
//! - `clock`, `bell`: the server's time, and hearing what others have written
//! - `change` and the files below it: what [`Store::commit`] applies; `plan` says in which order,
//!   `hot` is the one statement that applies most of it, and each other change has a file
//! - `workflows`, `messages`, `queues`, `schedules`: the reads
//! - `executors`, `claim`, `take_over`: how work comes to executors and back
//! - `rows`, `error`: between Postgres's values and ours
//! - `tx`: [`PostgresTx`], a transaction in the user's database
//! - `enlist`: starts and sends in it
//!
//! [`Enlist`]: stepwell_core::Enlist
//! [`Store::commit`]: stepwell_core::store::Store::commit

mod apart;
mod bell;
mod change;
mod claim;
mod clock;
mod connection;
mod enlist;
mod error;
mod executors;
mod follow;
mod jobs;
mod messages;
mod open;
mod params;
#[cfg(test)]
mod plans;
mod pool;
mod queues;
mod releases;
mod rows;
mod schedules;
mod schema;
mod server;
mod store;
mod take_over;
mod tls;
mod tx;
mod url;
mod workflows;

pub use store::PostgresStore;
pub use tx::{PostgresHome, PostgresTx, PostgresTxConnection};
