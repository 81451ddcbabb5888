//! The engine through its public API, on SQLite in memory.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod alerts;
mod architecture;
mod bank;
mod bounds;
mod cancellation;
mod children;
mod concurrency;
mod crashes;
mod deadlines;
mod enlist;
mod explain;
mod faults;
mod ids;
mod interrupts;
mod keys;
mod letters;
mod messages;
mod others;
mod panics;
mod parking;
mod queues;
mod recovery;
mod redrive;
mod replay;
mod retries;
mod schedules;
mod shutdown;
mod starts;
mod streams;
mod transactions;
mod transactions_in_doubt;
mod transactions_raced;
mod trouble;
mod unique;
mod values;
