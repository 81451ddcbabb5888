//! What the members of a race agree on: one of them wins, and a transaction that was committed is
//! never a loser.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use tokio_util::sync::CancellationToken;

use crate::position::Position;

/// A race that has transactions among its members.
#[derive(Debug)]
pub(crate) struct Gate {
    /// The position of the outermost race.
    root: Position,
    /// Cancelled when another member is ready: transactions are to come to an end, either way.
    decided: CancellationToken,
    /// The members whose transaction has lost, and leaves nothing: a bit for each.
    lost: AtomicU64,
    above: Option<Raced>,
}

/// The place of a transaction in a race.
#[derive(Debug, Clone)]
pub(crate) struct Raced {
    gate: Arc<Gate>,
    member: u32,
}

impl Gate {
    /// The gate of a race at a position, which may be a member of another race.
    pub(super) fn new(position: &Position, above: Option<&Raced>) -> Arc<Self> {
        Arc::new(Self {
            root: above.map_or_else(|| position.clone(), |above| above.gate.root.clone()),
            decided: above.map_or_else(CancellationToken::new, |above| {
                above.gate.decided.child_token()
            }),
            lost: AtomicU64::new(0),
            above: above.cloned(),
        })
    }

    /// Asks the transactions to come to an end: another member is ready.
    pub(super) fn decide(&self) {
        self.decided.cancel();
    }

    /// Whether the transaction of a member has lost.
    pub(super) fn has_lost(&self, member: u32) -> bool {
        self.lost.load(SeqCst) & (1 << member) != 0
    }

    pub(super) fn note_lost(&self, member: u32) {
        self.lost.fetch_or(1 << member, SeqCst);
    }

    pub(in crate::op) fn member(self: &Arc<Self>, member: u32) -> Raced {
        Raced {
            gate: Arc::clone(self),
            member,
        }
    }
}

impl Raced {
    /// Where every transaction leaves its witness that may win here: one row for all of them, so that
    /// one is committed at most, whoever else runs the workflow.
    pub(crate) fn root(&self) -> &Position {
        &self.gate.root
    }

    /// Whether another member is ready.
    pub(crate) fn is_decided(&self) -> bool {
        self.gate.decided.is_cancelled()
    }

    /// Returns when another member is ready.
    pub(crate) async fn decided(&self) {
        self.gate.decided.cancelled().await;
    }

    /// Says that the transaction has lost: it was not committed, and never will be.
    pub(crate) fn lose(&self) {
        self.gate.note_lost(self.member);
        if let Some(above) = &self.gate.above {
            above.lose();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_race_within_a_race_stands_on_the_outer_one() {
        let outer = Gate::new(&Position::top(4), None);
        let place = outer.member(1);
        let inner = Gate::new(&Position::top(4).child(1), Some(&place));
        let raced = inner.member(0);
        assert_eq!(raced.root(), &Position::top(4));
        assert!(!raced.is_decided());
        outer.decide();
        assert!(raced.is_decided());
        raced.lose();
        assert!(inner.has_lost(0) && outer.has_lost(1));
        assert!(!inner.has_lost(1) && !outer.has_lost(0));
    }

    #[test]
    fn what_is_decided_within_does_not_decide_what_is_around_it() {
        let outer = Gate::new(&Position::top(4), None);
        let place = outer.member(0);
        Gate::new(&Position::top(4).child(0), Some(&place)).decide();
        assert!(!place.is_decided());
    }
}
