//! The tests of the Postgres store: its own, and the suite that every store passes.

#![allow(missing_docs, reason = "tests are sentences")]
#![allow(clippy::unwrap_used, reason = "also in what tests share")]

mod address;
mod backend;
mod connections;
mod deadlocks;
mod fence;
mod fleet;
mod locks;
mod migrations;
mod oracle;
mod pooler;
mod server;
mod silence;
mod ticks;
mod trouble;
mod tx;

/// As behind a pooler that hands out connections by the transaction: statements without a name, no
/// notifications.
mod unnamed {
    use crate::backend::Schema;

    stepwell_conformance::conformance!(Schema::new("pooled=true"));
}

mod prepared {
    use crate::backend::Schema;

    stepwell_conformance::conformance!(Schema::new("pooled=auto"));
}
