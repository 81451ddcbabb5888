//! How the suite has a store, and what it may expect of it.

use std::{sync::Arc, time::Duration};

use stepwell_core::{BoxFuture, store::Store};

/// A kind of store under test. Every case is given a backend of its own.
///
/// Where stores may differ, the backend *declares* it; no case tries something out to find it.
pub trait Backend: Send + Sync {
    /// Makes an empty, migrated database and opens it. Called once in each case, before anything
    /// else.
    fn fresh(&self) -> BoxFuture<'_, Arc<dyn Store>>;

    /// Moves the clock of the stores that this backend has opened. It may also go by itself, but
    /// not by more than a few seconds in a case.
    fn advance(&self, by: Duration) -> BoxFuture<'_, ()>;

    /// Sets that clock back, as a person does who finds it ahead.
    fn set_back(&self, by: Duration) -> BoxFuture<'_, ()>;

    /// Whether the database can be opened twice at once, as a second process would.
    fn second_process(&self) -> bool;

    /// Opens the database of [`fresh`](Self::fresh) once more, as a second process would. Called
    /// only where [`second_process`](Self::second_process) says yes.
    fn reopen(&self) -> BoxFuture<'_, Arc<dyn Store>>;

    /// Runs a statement behind the store's back, as a newer version might. `{schema}.` stands before
    /// the names of tables, `{day}` for a day in a sum with an instant, `{no_instant}` for what is
    /// none. Whether it could.
    fn behind<'a>(&'a self, sql: &'a str) -> BoxFuture<'a, bool>;

    /// Whether the store notices that a process is gone before its lease ends. Dropping a store
    /// that was opened by [`reopen`](Self::reopen) is how such a process goes.
    fn sees_gone_processes(&self) -> bool;
}
