use tokio::sync::oneshot;

use super::{super::entry::Answer, *};
use crate::{Payload, WorkflowId, store::NewMessage};

/// So many changes of a client that go into one batch.
fn together(count: usize, bytes: usize, parting: Parting) -> impl Iterator<Item = Entry> {
    let message = || NewMessage {
        to: WorkflowId::generate(),
        topic: String::new(),
        payload: Payload::null(),
        key: None,
    };
    (0..count).map(move |index| {
        let answer = Answer::Client(oneshot::channel().0);
        let mut entry = Entry::new(Change::Send(message()), answer, Instant::now());
        entry.followers = count - index - 1;
        entry.bytes = bytes;
        entry.parting = parting;
        entry
    })
}

fn alone(count: usize, bytes: usize) -> impl Iterator<Item = Entry> {
    (0..count).flat_map(move |_| together(1, bytes, Parting::Allowed))
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
fn what_belongs_together_is_never_parted() {
    for parting in [Parting::Allowed, Parting::Forbidden] {
        let line = alone(BATCH_CHANGES_MAX - 8, 1);
        let line = line.chain(together(20, 1, parting)).chain(alone(1, 1));
        assert_eq!(batches(line.collect()), [BATCH_CHANGES_MAX - 8, 21]);
    }
}

#[test]
fn a_batch_is_bounded_by_its_bytes() {
    assert_eq!(batches(alone(10, 15 * MIB).collect()), [4, 4, 2]);
    let line = alone(3, 15 * MIB).chain(together(2, 15 * MIB, Parting::Allowed));
    assert_eq!(batches(line.collect()), [3, 2]);
}

#[test]
fn one_change_that_is_larger_than_a_batch_goes_alone() {
    let line = alone(1, 1).chain(alone(1, 300 * MIB)).chain(alone(2, 1));
    assert_eq!(batches(line.collect()), [1, 1, 2]);
}

#[test]
fn what_fits_no_batch_is_parted_if_it_may_be() {
    let line = together(10, 15 * MIB, Parting::Allowed);
    assert_eq!(batches(line.collect()), [4, 4, 2]);
    let line = together(10, 15 * MIB, Parting::Forbidden);
    assert_eq!(batches(line.collect()), [10]);
    let line = together(BATCH_CHANGES_MAX + 2, 1, Parting::Allowed);
    assert_eq!(batches(line.collect()), [BATCH_CHANGES_MAX, 2]);
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
fn a_batch_is_halved_but_not_within_what_must_not_be_parted() {
    let mut batch: Vec<_> = alone(5, 1).collect();
    let second = batch::second_half(&mut batch).unwrap();
    assert_eq!((batch.len(), second.len()), (2, 3));
    let mut batch: Vec<_> = together(4, 1, Parting::Forbidden).collect();
    assert!(batch::second_half(&mut batch).is_none());
    batch.extend(alone(1, 1));
    let second = batch::second_half(&mut batch).unwrap();
    assert_eq!((batch.len(), second.len()), (4, 1));
    assert!(batch::second_half(&mut alone(1, 1).collect()).is_none());
}
