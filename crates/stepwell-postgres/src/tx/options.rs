//! How a transaction is begun.

use stepwell_core::{Isolation, TxOptions};

/// The text that begins the transaction and marks it as ours, in one round trip.
///
/// `read write` stands there so that a server that only follows another one refuses at once: the
/// user's code then waits for a better one, instead of failing at its first write.
pub(super) fn begin(options: TxOptions) -> String {
    let isolation = match options.isolation {
        None => "",
        Some(Isolation::ReadCommitted) => " isolation level read committed,",
        Some(Isolation::RepeatableRead) => " isolation level repeatable read,",
        Some(Isolation::Serializable) => " isolation level serializable,",
    };
    let access = if options.read_only { "only" } else { "write" };
    format!("begin{isolation} read {access}; set local stepwell.transaction = 'open'")
}
