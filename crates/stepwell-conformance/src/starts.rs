//! A workflow begins to exist: once for its id.

use futures_util::future::join_all;
use serde_json::json;
use stepwell_core::{
    Outcome, Payload, Place, RecordKind, State,
    store::{Applied, Change, NewWorkflow, Started},
};

use crate::{
    Backend,
    fixture::{
        Case, DAY, MINUTE, expect_about, here, id, limits, payload, queued, with_name, workflow,
    },
};

/// [`Launch::Here`](stepwell_core::store::Launch::Here): the executor of the batch runs it at once.
pub async fn a_start_here_runs_at_once_in_its_executor(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;

    let row = case.find("order-1").await;
    assert_eq!((row.key, row.state), (key, State::Running));
    assert_eq!(row.executor, Some(worker.id));
    assert!(row.started_at.is_some());
}

/// [`Launch::Anywhere`](stepwell_core::store::Launch::Anywhere): nobody runs it yet.
pub async fn a_start_anywhere_waits_for_an_executor(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    case.enqueue("order-1").await;

    let row = case.find("order-1").await;
    assert_eq!(row.state, State::Enqueued);
    assert_eq!((row.executor, row.started_at), (None, None));
}

/// An executor's start for anybody is not its own.
pub async fn an_executors_start_anywhere_is_not_its_own(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    worker.new_workflow(workflow("order-1")).await;

    assert_eq!(case.state("order-1").await, State::Enqueued);
    assert_eq!(worker.claim_ids().await, ["order-1"]);
}

/// The row says which queue a workflow goes through.
pub async fn a_start_in_a_queue_waits_in_it(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    case.new_workflow(queued("order-1", "mail", limits(None, None)))
        .await;
    case.enqueue("order-2").await;

    let row = case.find("order-1").await;
    assert_eq!(
        (row.state, row.queue.as_deref()),
        (State::Enqueued, Some("mail"))
    );
    assert_eq!(case.find("order-2").await.queue, None);
}

/// The row keeps what the start said: name, attributes, origin, no parent; and when it was.
pub async fn a_start_keeps_all_that_it_was_given(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let new = NewWorkflow {
        origin: Some("POST /orders".to_owned()),
        attributes: vec![("customer".to_owned(), "ada".to_owned())],
        ..with_name("order-1", "refund")
    };
    case.new_workflow(new.clone()).await;

    let row = case.find("order-1").await;
    assert_eq!((row.id, row.name), (new.id, new.name));
    assert_eq!((row.origin, row.attributes), (new.origin, new.attributes));
    assert_eq!((row.parent, row.reason, row.recoveries), (None, None, 0));
    expect_about(row.created_at, case.now());
}

/// "The arguments, a JSON array; its first record."
pub async fn the_input_is_the_first_record(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let new = NewWorkflow {
        input: payload(json!(["widget", 3])),
        ..workflow("order-1")
    };
    let key = case.new_workflow(new.clone()).await;

    let history = case.history(key).await;
    assert_eq!(history.len(), 1);
    assert_eq!(
        (&history[0].place, history[0].kind),
        (&Place::Input, RecordKind::Input)
    );
    assert_eq!(history[0].outcome, Outcome::Ok(new.input));
    assert_eq!(history[0].name, "");
}

/// A start whose answer was lost finds its workflow, and that it is still its own.
pub async fn a_second_start_finds_the_first_one(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let new = here("order-1");
    let nonce = Some(new.nonce);
    let key = worker.new_workflow(new).await;

    let again = worker.start_as(here("order-1")).await;
    let state = State::Running;
    assert_eq!(
        again,
        Started::Existing {
            key,
            state,
            mine: true,
            nonce
        }
    );
}

/// A start finds a workflow that another executor runs, and does not take it.
pub async fn a_start_of_another_executors_workflow_is_not_mine(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (one, other) = (case.register().await, case.register().await);
    let key = one.start("order-1").await;

    let again = other.start_as(here("order-1")).await;
    let state = State::Running;
    assert_eq!(
        again,
        Started::Existing {
            key,
            state,
            mine: false,
            nonce: None,
        }
    );
    assert_eq!(case.find("order-1").await.executor, Some(one.id));
}

/// What nobody has taken is nobody's.
pub async fn a_waiting_workflow_is_nobodys(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = case.enqueue("order-1").await;

    let again = worker.start_as(here("order-1")).await;
    let state = State::Enqueued;
    assert_eq!(
        again,
        Started::Existing {
            key,
            state,
            mine: false,
            nonce: None,
        }
    );
}

/// The id stays taken after the end, and the answer says how it stands.
pub async fn a_start_after_the_end_starts_nothing(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    worker.succeed(key, json!("shipped")).await;

    match case.start(workflow("order-1")).await {
        Started::Existing {
            key: found, state, ..
        } => {
            assert_eq!((found, state), (key, State::Succeeded));
        }
        other => panic!("a start after the end came to {other:?}"),
    }
}

/// An id is one name's: never a silent wrong answer.
pub async fn the_same_id_with_another_name_is_a_conflict(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    case.enqueue("order-1").await;

    let started = case.start(with_name("order-1", "refund")).await;
    let name = "checkout".to_owned();
    assert_eq!(started, Started::Conflict { name });
}

/// An id is one input's: never a silent wrong answer.
pub async fn the_same_id_with_another_input_is_a_conflict(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    case.enqueue("order-1").await;

    let input = payload(json!([2]));
    let started = case
        .start(NewWorkflow {
            input,
            ..workflow("order-1")
        })
        .await;
    let name = "checkout".to_owned();
    assert_eq!(started, Started::Conflict { name });
}

/// [`Payload::same_value`]: a map that was filled in another order is no other input.
pub async fn the_same_input_in_another_order_of_keys_is_no_conflict(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let with_input = |text: &str| NewWorkflow {
        input: Payload::from_stored(text.to_owned()),
        ..workflow("order-1")
    };
    let key = case.new_workflow(with_input(r#"[{"a":1,"b":2}]"#)).await;

    let state = State::Enqueued;
    assert_eq!(
        case.start(with_input(r#"[{"b":2,"a":1}]"#)).await,
        Started::Existing {
            key,
            state,
            mine: false,
            nonce: None,
        }
    );
}

/// "Nothing was written": neither by a conflict nor by a start of what is there.
pub async fn a_start_that_starts_nothing_writes_nothing(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    case.enqueue("order-1").await;
    let before = case.find("order-1").await;
    let other = NewWorkflow {
        attributes: vec![("customer".to_owned(), "eve".to_owned())],
        deadline: Some(DAY),
        origin: Some("elsewhere".to_owned()),
        ..workflow("order-1")
    };
    let name = "refund".to_owned();

    case.start(other.clone()).await;
    case.start(NewWorkflow { name, ..other }).await;
    assert_eq!(case.find("order-1").await, before);
    assert_eq!(case.history(before.key).await.len(), 1);
}

/// A start of what is there counts neither its delay nor its launch.
pub async fn a_delay_of_a_second_start_changes_nothing(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    case.enqueue("order-1").await;

    let delay = Some(MINUTE);
    case.start(NewWorkflow {
        delay,
        ..workflow("order-1")
    })
    .await;
    assert_eq!(worker.claim_ids().await, ["order-1"]);
}

/// Keys are "small and growing".
pub async fn keys_grow(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let first = case.enqueue("order-2").await;
    let second = case.enqueue("order-1").await;

    assert!(first < second);
}

/// An id that starts twice in one batch starts once.
pub async fn a_second_start_in_the_same_batch_finds_the_first(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let starts = vec![
        Change::Start(workflow("order-1")),
        Change::Start(workflow("order-1")),
        Change::Start(with_name("order-1", "refund")),
    ];

    match case.commit(starts).await.as_slice() {
        [
            Applied::Start(Started::New { key, .. }),
            Applied::Start(Started::Existing { key: found, .. }),
            Applied::Start(Started::Conflict { name }),
        ] => assert_eq!((key, name.as_str()), (found, "checkout")),
        other => panic!("three starts came to {other:?}"),
    }
}

/// Many clients start the same id at the same time: exactly one makes it.
pub async fn one_of_many_starts_at_once_is_new(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let starts = join_all((0..16).map(|_| case.start(workflow("order-1")))).await;

    let new = |started: &&Started| matches!(started, Started::New { .. });
    let existing = |started: &&Started| matches!(started, Started::Existing { .. });
    assert_eq!(starts.iter().filter(new).count(), 1);
    assert_eq!(starts.iter().filter(existing).count(), 15);
}

/// What was never started is not found.
pub async fn an_unknown_id_is_not_found(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    case.enqueue("order-1").await;

    let found = case.store.find(&id("order")).await;
    assert_eq!(found.expect("an id can be looked up"), None);
}
