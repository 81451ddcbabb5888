//! Keeps the workflows of Stepwell in one SQLite file, and lets a workflow's transactions write to
//! the user's own SQLite database.
//!
//! Linking the crate is enough for `database("sqlite:shop.db")`: it registers the scheme `sqlite`.
//!
//! # One file for both
//! The user's tables may be in the same file. Then starts and sends can take part in a transaction of
//! the user's own ([`Enlist`]): the connection's main database must be the very file that the store
//! has opened, which is looked at each time. In memory, and in a database that is attached, they are
//! refused.
//!
//! A file that holds tables of others already is refused, because the path may be a mistake, unless the
//! address says so: `sqlite:shop.db?existing`. Then Stepwell's tables are made beside those of the
//! application, whose `user_version` and `application_id` stay as they are. It needs texts in UTF-8 and
//! the names of its tables and indexes, `workflows`, `records`, `messages`, `events`, `queues` and so on:
//! if one of them is taken, nothing is made, and the error names it. The journal becomes a write-ahead
//! log, and stays one. What migrates the application must leave tables alone that it does not know.
//! Once they are there, `sqlite:shop.db` opens the file as well.
//!
//! [`Enlist`]: stepwell_core::Enlist
//!
//! # Layout
//! - `store`: [`SqliteStore`], and how a call comes to a connection
//! - `url`, `open`, `connection`, `schema`: from an address to a migrated database
//! - `worker`: the threads, one that writes and two that read
//! - `change` and the files below it: what [`Store::commit`] applies, a file for each change
//! - `workflows`, `messages`, `queues`, `schedules`: the reads
//! - `executors`, `claim`, `take_over`, `locks`: how work comes to executors and back
//! - `rows`, `error`: between SQLite's values and ours; `holder`: who keeps the file locked
//! - `tx`: [`SqliteTx`], a transaction in the user's database
//! - `enlist`: starts and sends in it, where it is the file of the workflows
//!
//! [`Store::commit`]: stepwell_core::store::Store::commit

mod change;
mod claim;
mod connection;
mod enlist;
mod error;
mod executors;
mod follow;
mod holder;
mod locks;
mod messages;
mod open;
#[cfg(test)]
mod plans;
mod presence;
mod queues;
mod releases;
mod rows;
mod schedules;
mod schema;
mod store;
mod take_over;
mod tx;
mod url;
mod wal;
mod worker;
mod workflows;

pub use store::SqliteStore;
pub use tx::{SqliteHome, SqliteTx};
