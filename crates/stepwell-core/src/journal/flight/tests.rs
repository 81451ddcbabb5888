use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::oneshot;

use super::{super::entry::Answer, *};
use crate::{Payload, WorkflowId, store::NewMessage};

/// So many changes of a client that go into one batch.
fn together(count: usize, bytes: usize) -> impl Iterator<Item = Entry> {
    static GROUPS: AtomicU64 = AtomicU64::new(0);
    let group = GROUPS.fetch_add(1, Relaxed);
    let message = || NewMessage {
        to: WorkflowId::generate(),
        topic: String::new(),
        payload: Payload::null(),
        key: None,
    };
    (0..count).map(move |_| {
        let answer = Answer::Client(oneshot::channel().0);
        let mut entry = Entry::new(Change::Send(message()), answer, Instant::now(), group);
        entry.bytes = bytes;
        entry
    })
}

fn alone(count: usize, bytes: usize) -> impl Iterator<Item = Entry> {
    (0..count).flat_map(move |_| together(1, bytes))
}

/// The sizes of the batches that a line is cut into.
fn batches(mut pending: Vec<Entry>) -> Vec<usize> {
    let mut sizes = Vec::new();
    while !pending.is_empty() {
        let batch = Aloft::default().choose(&mut pending);
        assert!(!batch.is_empty(), "it never comes to an end");
        sizes.push(batch.len());
    }
    sizes
}

const MIB: usize = 1024 * 1024;

#[test]
fn what_was_handed_in_together_shares_a_batch_that_can_hold_it() {
    let line = alone(BATCH_CHANGES_MAX - 8, 1);
    let line = line.chain(together(20, 1)).chain(alone(1, 1));
    assert_eq!(batches(line.collect()), [BATCH_CHANGES_MAX - 8, 21]);
}

#[test]
fn a_batch_is_bounded_by_its_bytes() {
    assert_eq!(batches(alone(10, 15 * MIB).collect()), [4, 4, 2]);
    let line = alone(3, 15 * MIB).chain(together(2, 15 * MIB));
    assert_eq!(batches(line.collect()), [3, 2]);
}

#[test]
fn one_change_that_is_larger_than_a_batch_goes_alone() {
    let line = alone(1, 1).chain(alone(1, 300 * MIB)).chain(alone(2, 1));
    assert_eq!(batches(line.collect()), [1, 1, 2]);
}

#[test]
fn what_fits_no_batch_is_parted() {
    assert_eq!(batches(together(10, 15 * MIB).collect()), [4, 4, 2]);
    let line = together(BATCH_CHANGES_MAX + 2, 1);
    assert_eq!(batches(line.collect()), [BATCH_CHANGES_MAX, 2]);
}

/// The others of its group were written, and it was not.
#[test]
fn what_is_left_of_a_group_takes_no_others_along() {
    let line = alone(3, 15 * MIB).chain(together(3, 1).take(1));
    let line = line.chain(alone(2, 15 * MIB));
    assert_eq!(batches(line.collect()), [5, 1]);
}

#[test]
fn nothing_overtakes_what_must_wait_for_all_that_is_in_the_air() {
    let mut aloft = Aloft::default();
    let cancel = |pending: &mut Vec<Entry>| {
        pending[2].change = Change::Resume(WorkflowId::generate());
    };
    let mut pending: Vec<_> = alone(4, 1).collect();
    cancel(&mut pending);
    aloft.flights = 1;
    assert_eq!(aloft.choose(&mut pending).len(), 2);
    assert_eq!(aloft.choose(&mut pending).len(), 0);
    aloft.flights = 0;
    assert_eq!(aloft.choose(&mut pending).len(), 2);
}

#[test]
fn a_batch_is_halved_until_a_change_is_alone() {
    let mut batch: Vec<_> = alone(5, 1).collect();
    let second = batch::second_half(&mut batch).unwrap();
    assert_eq!((batch.len(), second.len()), (2, 3));
    assert!(batch::second_half(&mut alone(1, 1).collect()).is_none());
}
