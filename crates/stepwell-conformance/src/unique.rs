//! Starts that are one of a kind: joined, refused, or put in place of the one that is there.

use std::time::Duration;

use serde_json::{Value, json};
use stepwell_core::{
    State, Unique, WorkflowKey,
    store::{Change, NewWorkflow, QueueLimits, StartMessage, Started},
};

use crate::{
    Backend,
    fixture::{Case, MINUTE, expect_about, id, only, payload, queued, with_name, workflow},
};

/// A workflow of the kind `ann`, or another one.
fn of_kind(workflow_id: &str, unique: Unique) -> NewWorkflow {
    NewWorkflow {
        unique: Some(Box::new(unique)),
        ..workflow(workflow_id)
    }
}

fn delayed(workflow_id: &str, unique: Unique, delay: Duration) -> NewWorkflow {
    NewWorkflow {
        delay: Some(delay),
        ..of_kind(workflow_id, unique)
    }
}

fn ann() -> Unique {
    Unique::new("ann")
}

fn joined(key: WorkflowKey, workflow_id: &str, state: State) -> Started {
    Started::Joined {
        key,
        id: id(workflow_id),
        state,
    }
}

/// Whose place a start took.
async fn replaced(case: &Case<'_>, new: NewWorkflow) -> Option<WorkflowKey> {
    match case.start(new).await {
        Started::New { replaced, .. } => replaced,
        other => panic!("a start that replaces came to {other:?}"),
    }
}

/// "One at a time": while it waits, and while it runs.
pub async fn a_start_joins_what_has_not_ended(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = case.new_workflow(of_kind("a", ann())).await;

    assert_eq!(
        case.start(of_kind("b", ann())).await,
        joined(key, "a", State::Enqueued)
    );
    worker.claim(1).await;
    assert_eq!(
        case.start(of_kind("b", ann())).await,
        joined(key, "a", State::Running)
    );
    worker.succeed(key, json!(1)).await;
    case.new_workflow(of_kind("b", ann())).await;
}

/// What is stuck has not ended.
pub async fn a_start_joins_what_is_stuck(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = case.new_workflow(of_kind("a", ann())).await;
    worker.claim(1).await;
    worker.stick(key, "the code changed").await;

    assert_eq!(
        case.start(of_kind("b", ann())).await,
        joined(key, "a", State::Stuck)
    );
}

/// What was cancelled has ended.
pub async fn a_cancelled_one_is_joined_by_nobody(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    case.new_workflow(of_kind("a", ann())).await;
    case.cancel("a").await;

    case.new_workflow(of_kind("b", ann())).await;
}

/// A kind is a key of one workflow's name.
pub async fn other_keys_and_names_are_other_kinds(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    case.new_workflow(of_kind("a", ann())).await;

    case.new_workflow(of_kind("b", Unique::new("bob"))).await;
    let mut refund = of_kind("c", ann());
    refund.name = with_name("c", "refund").name;
    case.new_workflow(refund).await;
    case.enqueue("d").await;
}

/// What joins leaves nothing behind.
pub async fn a_start_that_joins_writes_nothing(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    case.new_workflow(of_kind("a", ann())).await;
    case.start(of_kind("b", ann())).await;

    assert_eq!(case.list(Default::default()).await, ["a"]);
}

/// The id counts first: handed in again, a start finds itself.
pub async fn a_start_of_a_kind_finds_itself(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let key = case.new_workflow(of_kind("a", ann())).await;

    let again = Started::Existing {
        key,
        state: State::Enqueued,
        mine: false,
        nonce: None,
    };
    assert_eq!(case.start(of_kind("a", ann())).await, again);
    let refused = of_kind("a", ann().reject());
    assert_eq!(case.start(refused).await, again);
    let replacing = of_kind("a", Unique::debounce("ann"));
    assert_eq!(case.start(replacing).await, again);
}

/// While waiting only: what has begun is not joined.
pub async fn a_start_can_join_only_what_waits(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let unique = || ann().while_waiting();
    let key = case.new_workflow(of_kind("a", unique())).await;
    assert_eq!(
        case.start(of_kind("b", unique())).await,
        joined(key, "a", State::Enqueued)
    );
    worker.claim(1).await;

    case.new_workflow(of_kind("b", unique())).await;
}

/// What was handed back has begun.
pub async fn what_was_handed_back_does_not_wait(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    case.new_workflow(of_kind("a", ann().while_waiting())).await;
    worker.claim(1).await;
    worker.retire().await;

    case.new_workflow(of_kind("b", ann().while_waiting())).await;
    assert_eq!(
        replaced(&case, of_kind("c", Unique::debounce("ann"))).await,
        Some(case.find("b").await.key)
    );
}

/// What is refused is told which one is there.
pub async fn a_start_can_be_refused(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    case.new_workflow(of_kind("a", ann())).await;

    let refused = case.start(of_kind("b", ann().reject())).await;
    assert_eq!(refused, Started::Taken { id: id("a") });
    assert_eq!(case.list(Default::default()).await, ["a"]);
}

/// A throttle: once in a time, whatever became of the first one.
pub async fn a_start_can_be_the_only_one_for_a_time(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let unique = || ann().within(MINUTE);
    let key = case.new_workflow(of_kind("a", unique())).await;
    worker.claim(1).await;
    worker.succeed(key, json!(1)).await;

    assert_eq!(
        case.start(of_kind("b", unique())).await,
        joined(key, "a", State::Succeeded)
    );
    case.advance(MINUTE + Duration::from_secs(1)).await;
    case.new_workflow(of_kind("b", unique())).await;
}

/// A debounce: the last one counts, and the time begins anew.
pub async fn a_debounce_replaces_what_waits(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let start = |workflow_id| delayed(workflow_id, Unique::debounce("ann"), MINUTE);
    let first = case.new_workflow(start("a")).await;
    case.advance(MINUTE / 2).await;

    assert_eq!(replaced(&case, start("b")).await, Some(first));
    let old = case.find("a").await;
    assert_eq!(old.state, State::Cancelled);
    assert_eq!(old.reason.as_deref(), Some("a later start took its place"));
    case.advance(MINUTE / 2 + Duration::from_secs(1)).await;
    let worker = worker.renewed(&case).await;
    assert!(worker.claim(10).await.is_empty());
    case.advance(MINUTE / 2).await;
    let worker = worker.renewed(&case).await;
    assert_eq!(worker.claim_ids().await, ["b"]);
}

/// A debounce has an end, however many come.
pub async fn a_debounce_can_have_an_end(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let unique = || Unique::debounce("ann").at_most(MINUTE * 2);
    let began = case.now();
    case.new_workflow(delayed("a", unique(), MINUTE)).await;
    case.advance(MINUTE / 2).await;
    replaced(&case, delayed("b", unique(), MINUTE)).await;
    case.advance(Duration::from_secs(50)).await;
    replaced(&case, delayed("c", unique(), MINUTE)).await;

    let wake_at = case.find("c").await.wake_at.expect("it is delayed");
    expect_about(wake_at, began + MINUTE * 2);
}

/// What has begun is left alone.
pub async fn a_debounce_leaves_alone_what_has_begun(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    case.new_workflow(of_kind("a", Unique::debounce("ann")))
        .await;
    worker.claim(1).await;

    assert_eq!(
        replaced(&case, of_kind("b", Unique::debounce("ann"))).await,
        None
    );
    assert_eq!(case.state("a").await, State::Running);
}

/// Whoever stood in line is replaced where it stood: many starts hold nothing up.
pub async fn a_debounce_keeps_the_place_in_the_queue(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let start = |workflow_id, delay| NewWorkflow {
        unique: Some(Box::new(Unique::debounce("ann"))),
        delay,
        ..queued(workflow_id, "mail", QueueLimits::default())
    };
    case.new_workflow(start("a", None)).await;
    case.advance(MINUTE).await;
    case.new_workflow(queued("other", "mail", QueueLimits::default()))
        .await;
    replaced(&case, start("b", Some(MINUTE))).await;

    assert_eq!(worker.claim(1).await[0].id.as_str(), "b");
}

/// What takes a place needs no room.
pub async fn a_debounce_goes_on_in_a_full_queue(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let one = QueueLimits {
        waiting_max: Some(1),
        ..QueueLimits::default()
    };
    let start = |workflow_id| NewWorkflow {
        unique: Some(Box::new(Unique::debounce("ann"))),
        ..queued(workflow_id, "mail", one)
    };
    let first = case.new_workflow(start("a")).await;

    assert_eq!(replaced(&case, start("b")).await, Some(first));
    let refused = case.start(queued("c", "mail", one)).await;
    assert_eq!(refused, Started::Full { waiting_max: 1 });
}

/// Handed in again, a start that replaced finds itself: it replaces nothing twice.
pub async fn a_repeated_replacement_happens_once(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let start = |workflow_id| of_kind(workflow_id, Unique::debounce("ann"));
    case.new_workflow(start("a")).await;
    replaced(&case, start("b")).await;
    worker.claim(1).await;

    let again = case.start(start("b")).await;
    assert!(
        matches!(
            again,
            Started::Existing {
                state: State::Running,
                ..
            }
        ),
        "{again:?}"
    );
}

/// Clients that start one of a kind at once start one.
pub async fn starts_of_a_kind_at_once_make_one(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let ids: Vec<_> = (0..16).map(|number| format!("a-{number}")).collect();
    let starts = ids.iter().map(|id| case.start(of_kind(id, ann())));
    let started = futures_util::future::join_all(starts).await;
    let is_new = |it: &&Started| matches!(it, Started::New { .. });
    assert_eq!(started.iter().filter(is_new).count(), 1);
    assert_eq!(case.list(Default::default()).await.len(), 1);
}

/// The starts of one batch count among themselves.
pub async fn starts_of_a_kind_in_one_batch_make_one(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let start = |workflow_id| Change::Start(of_kind(workflow_id, ann()));
    let mut applied = case.commit(vec![start("a"), start("b")]).await.into_iter();
    let mut next = || only!(applied.next().expect("each is answered"), Start);
    let Started::New { key, .. } = next() else {
        panic!("the first one is new");
    };
    assert_eq!(next(), joined(key, "a", State::Enqueued));
}

fn with_message(new: NewWorkflow, key: &str, value: Value) -> NewWorkflow {
    NewWorkflow {
        message: Some(Box::new(StartMessage {
            topic: "item".to_owned(),
            payload: payload(value),
            key: key.to_owned(),
        })),
        ..new
    }
}

/// A message that comes with a start is there when it begins.
pub async fn a_message_comes_with_a_start(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let new = with_message(workflow("a"), "k", json!(7));
    let key = case.new_workflow(new).await;

    assert_eq!(case.inbox(key, "item").await, [json!(7)]);
}

/// So work that comes in pieces is gathered.
pub async fn a_message_comes_to_the_one_that_is_joined(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let start = |workflow_id, number: u32| {
        let new = of_kind(workflow_id, ann().while_waiting());
        with_message(new, &format!("k-{number}"), json!(number))
    };
    let key = case.new_workflow(start("a", 1)).await;
    case.start(start("b", 2)).await;
    case.start(start("c", 3)).await;

    assert_eq!(
        case.inbox(key, "item").await,
        [json!(1), json!(2), json!(3)]
    );
}

/// Handed in again, its message is there once.
pub async fn a_repeated_start_sends_its_message_once(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let new = with_message(workflow("a"), "k", json!(7));
    let key = case.new_workflow(new.clone()).await;
    case.start(new).await;

    assert_eq!(case.inbox(key, "item").await, [json!(7)]);
}

/// A start that is refused sends nothing.
pub async fn a_refused_start_sends_nothing(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let key = case.new_workflow(of_kind("a", ann())).await;
    let refused = with_message(of_kind("b", ann().reject()), "k", json!(7));
    case.start(refused).await;
    let mut conflict = with_message(workflow("a"), "k", json!(7));
    conflict.input = payload(json!([2]));
    case.start(conflict).await;

    assert!(case.inbox(key, "item").await.is_empty());
}
