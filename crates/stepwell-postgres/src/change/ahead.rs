//! Locks that a batch takes before it begins, in one order.
//!
//! What several of its changes lock one after the other, two batches could lock in two orders, and
//! would wait for each other until Postgres breaks one off.

use std::collections::BTreeSet;

use stepwell_core::store::{Change, Effect, NewWorkflow, Room};

use super::{start, unique};
use crate::{connection::Connection, error::Failure};

/// What the changes of a batch lock beside rows of workflows: kinds first, then queues.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ahead<'c> {
    /// The names of workflows of which only one may be there, and their keys.
    kinds: BTreeSet<(&'c str, &'c str)>,
    /// The queues that may be bounded.
    queues: BTreeSet<&'c str>,
}

/// Takes the locks, unless the change that needs one is alone and takes it by itself. Who holds a kind
/// may wait for a row of it, so no row is held while a kind is waited for.
pub(super) async fn lock(db: &Connection, changes: &[Change]) -> Result<(), Failure> {
    let ahead = Ahead::of(changes);
    let alone = changes.len() == 1 || ahead.kinds.is_empty();
    if alone && ahead.kinds.len() + ahead.queues.len() < 2 {
        return Ok(());
    }
    if !ahead.kinds.is_empty() {
        let kinds: Vec<_> = ahead.kinds.into_iter().collect();
        unique::lock_kinds(db, &kinds).await?;
    }
    if !ahead.queues.is_empty() {
        start::lock_queues(db, ahead.queues.into_iter().collect()).await?;
    }
    Ok(())
}

impl<'c> Ahead<'c> {
    fn of(changes: &'c [Change]) -> Self {
        let mut ahead = Self::default();
        for change in changes {
            match change {
                Change::Start(new) => ahead.add(new),
                Change::Finish(finish) => finish.alerts.iter().for_each(|it| ahead.add(it)),
                Change::Progress(progress) => {
                    for effect in &progress.effects {
                        if let Effect::Start(child) = effect {
                            ahead.add(child);
                        }
                    }
                }
                _ => {}
            }
        }
        ahead
    }

    fn add(&mut self, new: &'c NewWorkflow) {
        if let Some(unique) = &new.unique {
            self.kinds.insert((&new.name, unique.key()));
        }
        if let Some(queue) = Room::needed(new) {
            self.queues.insert(&queue.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use stepwell_core::{Payload, Unique, WorkflowId};

    use super::*;

    fn start(id: &str, key: Option<&str>) -> Change {
        let id = WorkflowId::new(id).unwrap();
        Change::Start(NewWorkflow {
            unique: key.map(|key| Box::new(Unique::new(key))),
            ..NewWorkflow::new(id, "sync", Payload::null())
        })
    }

    #[test]
    fn kinds_are_known_before_the_first_change_once_each() {
        let changes = [
            start("a", Some("7")),
            start("b", None),
            start("c", Some("3")),
            start("d", Some("7")),
        ];
        let ahead = Ahead::of(&changes);
        let kinds: Vec<_> = ahead.kinds.into_iter().collect();
        assert_eq!(kinds, [("sync", "3"), ("sync", "7")]);
        assert!(ahead.queues.is_empty());
    }
}
