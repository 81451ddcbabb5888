//! [`Losing`]: any transaction, on a network that loses answers to commits.

use std::{
    fmt,
    sync::atomic::{AtomicU32, Ordering::SeqCst},
};

use stepwell_core::{BoxFuture, Committed, Operation, Payload, Tx, TxError, TxOptions, Witness};

/// A transaction whose commit happens, and whose answer may be lost.
#[derive(Debug)]
pub struct Losing<X>(pub X);

/// Begins transactions, and loses the answers of the first ones that are committed.
pub struct LosingSource<X: Tx> {
    source: X::Source,
    answers_to_lose: AtomicU32,
}

impl<X: Tx> LosingSource<X> {
    /// Loses this many answers.
    pub fn new(source: X::Source, answers_to_lose: u32) -> Self {
        Self {
            source,
            answers_to_lose: AtomicU32::new(answers_to_lose),
        }
    }

    /// How many answers are still to be lost. A test that loses none shows nothing.
    pub fn left(&self) -> u32 {
        self.answers_to_lose.load(SeqCst)
    }
}

impl<X: Tx> fmt::Debug for LosingSource<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LosingSource")
            .field("answers_to_lose", &self.answers_to_lose)
            .finish_non_exhaustive()
    }
}

/// Where a [`Losing`] transaction comes to rest.
pub struct LosingHome<X: Tx> {
    home: X::Home,
    loses: bool,
}

impl<X: Tx> fmt::Debug for LosingHome<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LosingHome")
            .field("loses", &self.loses)
            .finish_non_exhaustive()
    }
}

impl<X: Tx> Tx for Losing<X> {
    type Source = LosingSource<X>;
    type Home = LosingHome<X>;

    fn begin(
        source: &Self::Source,
        options: TxOptions,
    ) -> BoxFuture<'_, Result<(Self, Self::Home), TxError>> {
        Box::pin(async move {
            let (tx, home) = X::begin(&source.source, options).await?;
            let one_less = |left: u32| left.checked_sub(1);
            let loses = source
                .answers_to_lose
                .fetch_update(SeqCst, SeqCst, one_less)
                .is_ok();
            Ok((Self(tx), LosingHome { home, loses }))
        })
    }

    fn witnessed<'a>(
        source: &'a Self::Source,
        operation: &'a Operation,
    ) -> BoxFuture<'a, Result<Option<Payload>, TxError>> {
        X::witnessed(&source.source, operation)
    }

    fn commit(
        home: Self::Home,
        witness: Witness,
    ) -> BoxFuture<'static, Result<Committed, TxError>> {
        Box::pin(async move {
            let committed = X::commit(home.home, witness).await?;
            if home.loses {
                return Err(TxError::new("the answer to the commit was lost"));
            }
            Ok(committed)
        })
    }

    fn commit_plain(home: Self::Home) -> BoxFuture<'static, Result<(), TxError>> {
        X::commit_plain(home.home)
    }

    fn rollback(home: Self::Home) -> BoxFuture<'static, ()> {
        X::rollback(home.home)
    }

    fn conflict(home: &Self::Home) -> bool {
        X::conflict(&home.home)
    }
}
