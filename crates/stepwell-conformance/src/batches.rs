//! Batches: applied in order, answered in order, in one transaction.

use serde_json::json;
use stepwell_core::{
    End, Position, State, WorkflowKey,
    store::{
        Applied, Batch, Cancel, CancelCause, Cancelled, Change, Effect, Fork, Forked, Launch,
        NewWorkflow, Progress, Progressed, Resumed, Sent, Started,
    },
};

use crate::{
    Backend,
    fixture::{Case, child_of, id, keyed, message, payload, step, with_name, workflow},
};

/// "Says what each came to, in the same order": of every kind of change.
pub async fn every_change_is_answered_in_its_place(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    let records = vec![step(0, "charge", json!(1))];
    let cancel = Cancel {
        id: id("order-2"),
        cause: CancelCause::Request,
    };
    let fork = Fork::new(id("order-1"), id("fork"), Position::top(1));
    let batch = vec![
        Change::Send(message("order-1", json!(1))),
        Change::Resume(id("order-1")),
        Change::Progress(Progress {
            key,
            records,
            effects: Vec::new(),
        }),
        Change::Fork(fork),
        Change::Finish(worker.finish_of(key, End::Succeeded(payload(json!(1))))),
        Change::Start(workflow("order-2")),
        Change::Cancel(cancel),
    ];

    match worker.commit(batch).await.as_slice() {
        [
            Applied::Send(_),
            Applied::Resume(_),
            Applied::Progress(_),
            Applied::Fork(_),
            Applied::Finish(_),
            Applied::Start(_),
            Applied::Cancel(_),
        ] => {}
        other => panic!("seven changes came to {other:?}"),
    }
}

/// Every change sees those before it: started, sent to, cancelled, resumed, forked in one batch.
pub async fn a_change_sees_those_before_it(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let cancel = Cancel {
        id: id("order-1"),
        cause: CancelCause::Request,
    };
    let fork = Fork::new(id("order-1"), id("fork"), Position::top(0));
    let batch = vec![
        Change::Send(keyed("order-1", "early", json!(1))),
        Change::Start(workflow("order-1")),
        Change::Send(keyed("order-1", "late", json!(2))),
        Change::Cancel(cancel),
        Change::Resume(id("order-1")),
        Change::Fork(fork),
    ];

    match case.commit(batch).await.as_slice() {
        [
            Applied::Send(Sent::NoSuchWorkflow),
            Applied::Start(Started::New { key, .. }),
            Applied::Send(Sent::New { to }),
            Applied::Cancel(Cancelled::Now(keys)),
            Applied::Resume(Resumed::Now),
            Applied::Fork(Forked::New { .. }),
        ] => assert_eq!((key, keys.as_slice()), (to, [*key].as_slice())),
        other => panic!("six changes came to {other:?}"),
    }
    assert_eq!(case.state("order-1").await, State::Enqueued);
}

/// A change that comes to nothing does not stop those after it.
pub async fn a_refused_change_stops_no_other(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (worker, other) = (case.register().await, case.register().await);
    let (mine, foreign) = (worker.start("mine").await, other.start("foreign").await);
    let progress = |key| {
        let records = vec![step(0, "charge", json!(1))];
        Change::Progress(Progress {
            key,
            records,
            effects: Vec::new(),
        })
    };
    let batch = vec![
        progress(foreign),
        Change::Start(with_name("mine", "refund")),
        Change::Resume(id("nobody")),
        progress(mine),
    ];

    let applied = worker.commit(batch).await;
    assert!(
        matches!(applied[0], Applied::Progress(Progressed::Refused(_))),
        "{applied:?}"
    );
    assert!(
        matches!(applied[3], Applied::Progress(Progressed::Recorded(_))),
        "{applied:?}"
    );
    assert_eq!(case.places(mine).await, ["", "0"]);
    assert_eq!(case.places(foreign).await, [""]);
}

/// No changes, no outcomes.
pub async fn an_empty_batch_comes_to_nothing(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;

    assert!(case.commit(Vec::new()).await.is_empty());
    assert!(worker.commit(Vec::new()).await.is_empty());
}

/// A backlog comes in one batch: every outcome still in its place.
pub async fn a_large_batch_is_answered_in_order(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let start = |number| {
        Change::Start(NewWorkflow {
            launch: Launch::Here,
            ..workflow(&format!("order-{number:04}"))
        })
    };
    let applied = worker.commit((0..1_000).map(start).collect()).await;
    let keys: Vec<_> = applied
        .iter()
        .map(|it| match it {
            Applied::Start(Started::New { key, .. }) => *key,
            other => panic!("a start came to {other:?}"),
        })
        .collect();
    assert_eq!(case.find("order-0000").await.key, keys[0]);
    assert_eq!(case.find("order-0731").await.key, keys[731]);

    let progress = |key: &WorkflowKey| {
        Change::Progress(Progress {
            key: *key,
            records: vec![step(0, "charge", json!(1))],
            effects: Vec::new(),
        })
    };
    let applied = worker
        .commit(keys.iter().rev().map(progress).collect())
        .await;
    let new = |it: &Applied| matches!(it, Applied::Progress(Progressed::Recorded(_)));
    assert!(applied.len() == 1_000 && applied.iter().all(new));
    assert_eq!(case.places(keys[731]).await, ["", "0"]);
}

/// An executor's batch may bring requests of clients along: they need no workflow of its own.
pub async fn an_executor_may_commit_requests_of_clients(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (worker, other) = (case.register().await, case.register().await);
    other.start("order-1").await;
    let cancel = Cancel {
        id: id("order-1"),
        cause: CancelCause::Request,
    };
    let batch = Batch {
        executor: Some(worker.id.clone()),
        changes: vec![Change::Cancel(cancel)],
    };

    let written = case
        .store
        .commit(batch)
        .await
        .expect("the executor is live");
    assert!(
        matches!(written.applied[0], Applied::Cancel(Cancelled::Now(_))),
        "{written:?}"
    );
    assert_eq!(other.interrupts().await.len(), 1);
}

/// A conflict is its own change's alone: the rest of the batch is written.
pub async fn a_conflict_leaves_the_rest_of_its_batch_alone(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let (one, other) = (worker.start("order-1").await, worker.start("order-2").await);
    let with = |key, effects| {
        let records = vec![step(0, "operation", json!(1))];
        Change::Progress(Progress {
            key,
            records,
            effects,
        })
    };
    let missing = vec![Effect::Receive { message: 7 }];

    let batch = vec![
        with(one, Vec::new()),
        with(other, missing),
        with(one, Vec::new()),
    ];
    let applied = worker.commit(batch).await;
    assert!(matches!(
        applied[1],
        Applied::Progress(Progressed::Conflict { .. })
    ));
    assert!(matches!(
        applied[2],
        Applied::Progress(Progressed::Existing)
    ));
    assert_eq!(case.places(one).await, ["", "0"]);
    assert_eq!(case.places(other).await, [""]);
}

/// Every operation sees a later change of its own batch: they are applied in order.
pub async fn progress_follows_progress_in_one_batch(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    let record = |number| {
        let records = vec![step(number, "operation", json!(number))];
        Change::Progress(Progress {
            key,
            records,
            effects: Vec::new(),
        })
    };

    let applied = worker.commit((0..20).map(record).collect()).await;
    let all_new = applied
        .iter()
        .all(|it| matches!(it, Applied::Progress(Progressed::Recorded(_))));
    assert!(all_new, "{applied:?}");
    assert_eq!(case.history(key).await.len(), 21);
}

/// A cancellation reaches a child that has made progress in the same batch.
pub async fn a_child_makes_no_progress_behind_its_parents_cancellation(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let parent = worker.start("order-1").await;
    let child = worker.new_workflow(child_of(parent, "child")).await;
    let record = |number| {
        let records = vec![step(number, "operation", json!(number))];
        Change::Progress(Progress {
            key: child,
            records,
            effects: Vec::new(),
        })
    };
    let cancel = Cancel {
        id: id("order-1"),
        cause: CancelCause::Request,
    };

    let applied = worker
        .commit(vec![record(0), Change::Cancel(cancel), record(1)])
        .await;
    assert!(
        matches!(applied[2], Applied::Progress(Progressed::Refused(_))),
        "{applied:?}"
    );
    assert_eq!(case.places(child).await, ["", "0"]);
}
