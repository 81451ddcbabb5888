//! Parking: a workflow that only waits belongs to nobody until what it waits for comes.

use std::time::Duration;

use serde_json::json;
use stepwell_core::{
    State, WorkflowKey,
    store::{
        Change, Deleted, Finished, NewWorkflow, Park, Parked, Progressed, Refusal, Resumed, Wait,
    },
};

use crate::{
    Backend,
    fixture::{
        Case, DAY, MINUTE, child_of, event_of, expect_about, here, limits, message, message_on,
        park, queued,
    },
};

/// The row says what it waits for and until when, and that nobody has it.
pub async fn a_parked_workflow_says_what_it_waits_for(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    let parks = Park {
        until: Some(case.now() + DAY),
        ..park(key, vec![message_on("go")])
    };
    assert_eq!(worker.park(parks).await, Parked::Now);

    let row = case.find("order-1").await;
    assert_eq!(row.state, State::Parked);
    assert_eq!(row.executor.as_ref(), Some(&worker.id), "who ran it last");
    assert_eq!(row.reason.as_deref(), Some("waits for a while"));
    assert!(row.started_at.is_some());
    let wake_at = row.wake_at.expect("it waits for an instant");
    expect_about(wake_at, case.now() + DAY);
    let next = case.store.next_wake().await;
    let next = next.expect("delays can be read");
    expect_about(next.expect("something is due some time"), wake_at);
    assert!(worker.owned().await.is_empty());
}

/// At its time anybody gets it, with its history.
pub async fn a_parked_workflow_is_claimed_at_its_time(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (worker, other) = (case.register().await, case.register().await);
    let key = worker.start("order-1").await;
    worker.record(key, 0, "reserve", json!(1)).await;
    let parks = Park {
        until: Some(case.now() + MINUTE),
        ..park(key, Vec::new())
    };
    assert_eq!(worker.park(parks).await, Parked::Now);
    case.advance(MINUTE / 2).await;
    assert!(other.claim_ids().await.is_empty());
    case.advance(MINUTE / 2).await;

    let claimed = other.claim(10).await;
    assert_eq!(claimed.len(), 1);
    assert!(claimed[0].has_history);
    let row = case.find("order-1").await;
    assert_eq!((row.state, row.executor), (State::Running, Some(other.id)));
    assert_eq!((row.reason, row.wake_at), (None, None));
    assert_eq!(row.recoveries, 0, "nobody has lost it");
    assert!(
        (case.store.takeovers(key).await)
            .expect("takeovers can be read")
            .is_empty()
    );
}

/// What waits for no instant waits as long as it takes.
pub async fn a_parked_workflow_may_wait_for_ever(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    worker.parked("order-1", message_on("")).await;
    case.advance(DAY * 1_000).await;
    let worker = worker.renewed(&case).await;

    assert!(worker.claim_ids().await.is_empty());
    assert_eq!(case.state("order-1").await, State::Parked);
}

/// An answer that was lost: it is parked, and that is what was asked for.
pub async fn a_workflow_that_is_parked_again_is_parked(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.parked("order-1", message_on("")).await;
    let parks = park(key, vec![message_on("")]);
    assert_eq!(worker.park(parks.clone()).await, Parked::Now);

    case.send(message("order-1", json!(1))).await;
    let awake = Parked::Refused(Refusal::NotRunning(State::Enqueued));
    assert_eq!(worker.park(parks).await, awake);
}

/// Whoever ran it does not any more.
pub async fn a_parked_workflow_takes_nothing_of_its_run(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.parked("order-1", message_on("")).await;

    let refused = Progressed::Refused(Refusal::NotRunning(State::Parked));
    assert_eq!(worker.record(key, 0, "late", json!(1)).await, refused);
    assert_eq!(worker.publish(key, 0, "late", json!(1)).await, refused);
    assert_eq!(worker.succeed(key, json!(1)).await, Finished::NotMine);
    assert_eq!(case.places(key).await, [""]);
    assert_eq!(case.state("order-1").await, State::Parked);
}

/// Only who runs a workflow can park it.
pub async fn only_its_executor_parks_a_workflow(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (worker, other) = (case.register().await, case.register().await);
    let key = worker.start("order-1").await;
    let parks = park(key, vec![message_on("")]);
    let not_mine = Parked::Refused(Refusal::NotMine);
    assert_eq!(other.park(parks.clone()).await, not_mine);
    let nowhere = park(WorkflowKey(i64::MAX), vec![message_on("")]);
    assert_eq!(other.park(nowhere).await, not_mine);
    worker.succeed(key, json!(1)).await;
    let over = Parked::Refused(Refusal::NotRunning(State::Succeeded));
    assert_eq!(worker.park(parks.clone()).await, over);
    worker.retire().await;
    worker.expect_fenced(vec![Change::Park(parks)]).await;
}

/// One in a queue keeps its place.
pub async fn a_workflow_in_a_queue_is_not_parked(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let one = limits(Some(1), None);
    let key = case.new_workflow(queued("mail-1", "mail", one)).await;
    worker.claim(1).await;

    let parks = park(key, vec![message_on("")]);
    assert_eq!(worker.park(parks).await, Parked::Never);
    assert_eq!(case.state("mail-1").await, State::Running);
}

/// The deadline of what is parked is not slept through.
pub async fn a_parked_workflow_is_cancelled_at_its_deadline(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let new = NewWorkflow {
        deadline: Some(MINUTE),
        ..here("order-1")
    };
    let key = worker.new_workflow(new).await;
    let parks = Park {
        until: Some(case.now() + DAY),
        ..park(key, vec![message_on("")])
    };
    assert_eq!(worker.park(parks).await, Parked::Now);
    let wake_at = case.find("order-1").await.wake_at;
    expect_about(wake_at.expect("it waits"), case.now() + MINUTE);
    case.advance(MINUTE + Duration::from_secs(1)).await;

    assert!(worker.claim_ids().await.is_empty());
    assert_eq!(case.state("order-1").await, State::Cancelled);
}

/// A cancellation ends it, and its children with it.
pub async fn a_parked_workflow_can_be_cancelled(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let parent = worker.start("order-1").await;
    worker
        .start_child(parent, 0, child_of(parent, "child"))
        .await;
    let of = case.find("child").await.key;
    let parks = park(parent, vec![Wait::End { of }]);
    assert_eq!(worker.park(parks).await, Parked::Now);

    case.cancel("order-1").await;
    assert_eq!(case.state("order-1").await, State::Cancelled);
    assert_eq!(case.state("child").await, State::Cancelled);
    assert!(worker.claim_ids().await.is_empty());
    assert_eq!(case.resume("order-1").await, Resumed::Now);
}

/// It is on its way: there is nothing to resume.
pub async fn a_parked_workflow_is_not_resumed(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    worker.parked("order-1", message_on("")).await;
    let on_its_way = Resumed::Not(State::Parked);
    assert_eq!(case.resume("order-1").await, on_its_way);
    assert_eq!(case.state("order-1").await, State::Parked);
}

/// Nobody has it, so nobody can lose it.
pub async fn a_parked_workflow_outlives_its_executor(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    worker.parked("order-1", message_on("")).await;
    case.let_leases_end().await;
    let heir = case.register().await;
    heir.take_over().await;
    assert_eq!(case.state("order-1").await, State::Parked);

    case.send(message("order-1", json!(1))).await;
    assert_eq!(heir.claim_ids().await, ["order-1"]);
    assert_eq!(case.find("order-1").await.recoveries, 0);
}

/// All of them, with one batch; and what comes with the same batch wakes them.
pub async fn many_are_parked_at_once(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let mut keys = Vec::new();
    for i in 0..100 {
        keys.push(worker.start(&format!("order-{i}")).await);
    }
    let parks = keys
        .iter()
        .map(|key| Change::Park(park(*key, vec![message_on("")])));
    let mut changes: Vec<_> = parks.collect();
    changes.push(Change::Send(message("order-99", json!(1))));
    let applied = worker.commit(changes).await;

    assert_eq!(applied.len(), 101);
    for i in 0..99 {
        assert_eq!(case.state(&format!("order-{i}")).await, State::Parked);
    }
    // Either way it goes on: it was not parked, or was woken.
    assert_ne!(case.state("order-99").await, State::Parked);
}

/// What was deleted publishes nothing more: whoever waits for it hears of that, and is not parked anew.
pub async fn who_waits_for_what_is_deleted_is_woken(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let other = worker.start("other").await;
    worker.succeed(other, json!(1)).await;
    let waits = event_of(other);
    let key = worker.parked("order-1", waits.clone()).await;
    assert_eq!(case.delete("other").await, Deleted::Now);

    assert_eq!(case.state("order-1").await, State::Enqueued);
    assert_eq!(worker.claim_ids().await, ["order-1"]);
    for wait in [waits, Wait::End { of: other }] {
        assert_eq!(worker.park(park(key, vec![wait])).await, Parked::NotYet);
    }
}
