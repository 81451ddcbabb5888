//! How a transaction is begun.

/// How a transaction is isolated, and whether it writes.
///
/// ```
/// use stepwell_postgres::{Isolation, TxOptions};
///
/// let options = TxOptions { isolation: Some(Isolation::Serializable), ..TxOptions::default() };
/// assert!(!options.read_only);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TxOptions {
    /// How it is isolated; as the database does by default if nothing is said.
    pub isolation: Option<Isolation>,
    /// Whether the database refuses everything in it that writes. Such a transaction keeps no
    /// witness: it changes nothing, so it may as well run again.
    pub read_only: bool,
}

/// What a transaction sees of others that commit while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Each statement sees what was committed before it.
    ReadCommitted,
    /// All statements see what was committed before the first one.
    RepeatableRead,
    /// As if no other transaction ran at the same time.
    Serializable,
}

impl TxOptions {
    /// The text that begins the transaction and marks it as ours, in one round trip.
    ///
    /// `read write` stands there so that a server that only follows another one refuses at once: the
    /// user's code then waits for a better one, instead of failing at its first write.
    pub(super) fn begin(self) -> String {
        let isolation = match self.isolation {
            None => "",
            Some(Isolation::ReadCommitted) => " isolation level read committed,",
            Some(Isolation::RepeatableRead) => " isolation level repeatable read,",
            Some(Isolation::Serializable) => " isolation level serializable,",
        };
        let access = if self.read_only { "only" } else { "write" };
        format!("begin{isolation} read {access}; set local stepwell.transaction = 'open'")
    }
}
