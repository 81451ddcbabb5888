//! Durable execution: ordinary async functions that survive crashes, deploys and dead machines.
#[doc(hidden)]
pub use stepwell_core::__private;
pub use stepwell_core::*;
#[cfg(feature = "macros")]
pub use stepwell_macros::{State, select, step, transaction, workflow};
#[cfg(feature = "sqlite")]
pub use stepwell_sqlite::SqliteTx;
