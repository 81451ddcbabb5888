//! How a transaction is begun.

/// How a transaction is isolated, and whether it may write.
///
/// ```
/// use stepwell_core::{Isolation, TxOptions};
///
/// let options = TxOptions { isolation: Some(Isolation::Serializable), ..TxOptions::default() };
/// assert!(!options.read_only);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TxOptions {
    /// How it is isolated at least; as the database does by default if nothing is said.
    pub isolation: Option<Isolation>,
    /// Whether nothing in it may write. Such a transaction keeps no witness: it changes nothing, so
    /// it may as well run again, as a step does, until its output is recorded.
    pub read_only: bool,
}

/// What a transaction sees of others that commit while it runs.
///
/// SQLite has one writer at a time and shows each reader one moment: there every transaction is
/// serializable, whatever was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Each statement sees what was committed before it.
    ReadCommitted,
    /// All statements see what was committed before the first one.
    RepeatableRead,
    /// As if no other transaction ran at the same time.
    Serializable,
}
