//! A commit whose answer is lost: the batch is handed in again as it was, and happens once.

use futures_util::{future::join_all, poll};
use serde_json::json;
use stepwell_core::{
    End, Position, Record, State, WorkflowKey,
    store::{
        Applied, Cancel, CancelCause, Cancelled, Change, Effect, Filter, Finished, Fork, Forked,
        NewWorkflow, Progress, Progressed, Resumed, Sent, Started, Workflow,
    },
};

use crate::{
    Backend,
    fixture::{Case, MINUTE, Worker, child_of, here, id, keyed, payload, step, workflow},
};

/// All that a case can read of every workflow.
async fn everything(case: &Case<'_>) -> Vec<(Workflow, Vec<Record>, usize, usize)> {
    let rows = case
        .store
        .list(Filter::default())
        .await
        .expect("a list can be read");
    let mut all = Vec::new();
    for row in rows {
        let history = case.history(row.key).await;
        let messages = case.inbox(row.key, "").await.len();
        let values = case.stream(row.key, "log").await.len();
        all.push((row, history, messages, values));
    }
    all
}

/// Hands in a change twice, some time apart; says what it came to the second time, and that nothing
/// was written then.
async fn twice(case: &Case<'_>, worker: &Worker, change: Change) -> Applied {
    worker.commit(vec![change.clone()]).await;
    let before = everything(case).await;
    case.advance(MINUTE).await;
    let again = worker
        .commit(vec![change])
        .await
        .pop()
        .expect("a change has an outcome");
    assert_eq!(everything(case).await, before);
    again
}

/// An operation with every effect that there is.
fn busy(key: WorkflowKey, message: i64) -> Progress {
    let (name, value) = ("status".to_owned(), payload(json!("paid")));
    Progress {
        key,
        records: vec![step(0, "charge", json!(1)), step(1, "ship", json!(2))],
        effects: vec![
            Effect::SetEvent {
                name: name.clone(),
                value: value.clone(),
            },
            Effect::Send(keyed("order-2", "order-1:0", json!("hello"))),
            Effect::Receive { message },
            Effect::Append {
                stream: "log".to_owned(),
                value,
            },
            Effect::Start(child_of(key, "child")),
            Effect::SetAttribute {
                name,
                value: "paid".to_owned(),
            },
        ],
    }
}

/// The workflow `order-1` with a message, and its neighbour `order-2`.
async fn prepare(case: &Case<'_>, worker: &Worker) -> (WorkflowKey, i64) {
    let key = worker.start("order-1").await;
    case.enqueue("order-2").await;
    case.send(keyed("order-1", "m", json!("hello"))).await;
    (key, case.first_message(key).await)
}

/// A repeated start finds its workflow, as its executor's own.
pub async fn a_repeated_start_happens_once(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let new = NewWorkflow {
        deadline: Some(MINUTE),
        ..here("order-1")
    };

    let nonce = Some(new.nonce);
    let again = twice(&case, &worker, Change::Start(new)).await;
    let existing = Applied::Start(Started::Existing {
        key: case.find("order-1").await.key,
        state: State::Running,
        mine: true,
        nonce,
    });
    assert_eq!(format!("{again:?}"), format!("{existing:?}"));
}

/// Repeated progress adopts its record; none of its effects happens again.
pub async fn repeated_progress_happens_once(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let (key, message) = prepare(&case, &worker).await;

    let again = twice(&case, &worker, Change::Progress(busy(key, message))).await;
    assert!(
        matches!(again, Applied::Progress(Progressed::Existing)),
        "{again:?}"
    );
    let to = case.find("order-2").await.key;
    assert_eq!(case.inbox(to, "").await.len(), 1);
    assert_eq!(case.stream(key, "log").await.len(), 1);
}

/// "The same end handed in again comes to this": [`Finished::Already`].
pub async fn a_repeated_end_happens_once(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let ends = [
        (End::Succeeded(payload(json!(1))), State::Succeeded),
        (
            End::Failed {
                error: payload(json!(1)),
                fingerprint: "E".to_owned(),
                reason: "no stock".to_owned(),
            },
            State::Failed,
        ),
        (
            End::Stuck {
                reason: "the code changed".to_owned(),
            },
            State::Stuck,
        ),
    ];

    for (end, state) in ends {
        let key = worker.start(state.as_str()).await;
        let again = twice(&case, &worker, Change::Finish(worker.finish_of(key, end))).await;
        let already = Finished::Already(state);
        assert!(
            matches!(again, Applied::Finish(it) if it == already),
            "{again:?}"
        );
    }
}

/// A repeated send is a duplicate of its key.
pub async fn a_repeated_send_happens_once(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    case.enqueue("order-1").await;

    let send = Change::Send(keyed("order-1", "k", json!(1)));
    let again = twice(&case, &worker, send).await;
    assert!(
        matches!(again, Applied::Send(Sent::Duplicate { .. })),
        "{again:?}"
    );
}

/// A repeated cancellation finds the workflow cancelled, and keeps the first one's cause.
pub async fn a_repeated_cancellation_happens_once(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    worker.new_workflow(child_of(key, "child")).await;

    let cancel = Cancel {
        id: id("order-1"),
        cause: CancelCause::LostRace,
    };
    let again = twice(&case, &worker, Change::Cancel(cancel)).await;
    let already = Cancelled::Already(State::Cancelled);
    assert!(
        matches!(&again, Applied::Cancel(it) if *it == already),
        "{again:?}"
    );
}

/// A repeated resumption finds the workflow on its way.
pub async fn a_repeated_resumption_happens_once(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    case.enqueue("order-1").await;
    case.cancel("order-1").await;

    let again = twice(&case, &worker, Change::Resume(id("order-1"))).await;
    let not = Resumed::Not(State::Enqueued);
    assert!(
        matches!(again, Applied::Resume(it) if it == not),
        "{again:?}"
    );
}

/// A repeated fork finds the fork.
pub async fn a_repeated_fork_happens_once(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    worker.record(key, 0, "charge", json!(1)).await;

    let from = Position::top(1);
    let fork = Fork::new(id("order-1"), id("fork"), from);
    let again = twice(&case, &worker, Change::Fork(fork)).await;
    assert!(
        matches!(again, Applied::Fork(Forked::Existing)),
        "{again:?}"
    );
}

/// A whole batch, in which changes build on each other, is repeated as it was.
pub async fn a_repeated_batch_happens_once(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let (key, message) = prepare(&case, &worker).await;
    let batch = vec![
        Change::Progress(busy(key, message)),
        Change::Finish(worker.finish_of(key, End::Succeeded(payload(json!("shipped"))))),
        Change::Start(workflow("order-3")),
        Change::Send(keyed("order-3", "k", json!(1))),
    ];

    worker.commit(batch.clone()).await;
    let before = everything(&case).await;
    case.advance(MINUTE).await;
    let again = worker.commit(batch).await;
    assert_eq!(everything(&case).await, before);
    assert!(
        !matches!(again[0], Applied::Progress(Progressed::Recorded(_))),
        "{again:?}"
    );
    let already = Finished::Already(State::Succeeded);
    assert!(
        matches!(again[1], Applied::Finish(it) if it == already),
        "{again:?}"
    );
    assert!(
        matches!(again[2], Applied::Start(Started::Existing { .. })),
        "{again:?}"
    );
    assert!(
        matches!(again[3], Applied::Send(Sent::Duplicate { .. })),
        "{again:?}"
    );
}

/// Whoever hands in a batch may be gone before the answer: then nobody knows whether it was
/// applied, and it is handed in again.
pub async fn a_batch_whose_answer_was_lost_happens_once(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let (key, message) = prepare(&case, &worker).await;
    let batch = vec![Change::Progress(busy(key, message))];

    for _ in 0..8 {
        // Dropped after its first poll, on its way to the database or back.
        let mut lost = Box::pin(worker.commit(batch.clone()));
        let _ = poll!(&mut lost);
    }
    worker.commit(batch).await;
    assert_eq!(case.places(key).await, ["", "0", "1"]);
    assert_eq!(case.stream(key, "log").await.len(), 1);
    let to = case.find("order-2").await.key;
    assert_eq!(case.inbox(to, "").await.len(), 1);
}

/// The same batch from several sides at once: one writes it, the others hear that it is there.
pub async fn the_same_batch_at_once_happens_once(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let (key, message) = prepare(&case, &worker).await;
    let batch = vec![Change::Progress(busy(key, message))];

    let answers = join_all((0..8).map(|_| worker.commit(batch.clone())))
        .await
        .concat();
    let new = |it: &&Applied| matches!(it, Applied::Progress(Progressed::Recorded(_)));
    let old = |it: &&Applied| matches!(it, Applied::Progress(Progressed::Existing));
    assert_eq!(answers.iter().filter(new).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(old).count(), 7, "{answers:?}");
    assert_eq!(case.stream(key, "log").await.len(), 1);
}
