//! Parking: a workflow that only waits belongs to nobody until what it waits for comes.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use stepwell_core::{
    End, State, Unique, WorkflowKey,
    store::{
        Batch, Change, Finished, NewMessage, NewWorkflow, Park, Parked, Progressed, Refusal,
        Resumed, Sent, StartMessage, Started, Wait, Written,
    },
};

use crate::{
    Backend,
    fixture::{
        Case, DAY, MINUTE, Worker, child_of, expect_about, here, id, keyed, limits, message,
        payload, queued,
    },
};

fn park(key: WorkflowKey, waits: Vec<Wait>) -> Park {
    Park {
        key,
        until: None,
        waits,
        reason: "waits for a while".to_owned(),
    }
}

fn message_on(topic: &str) -> Wait {
    Wait::Message {
        topic: topic.to_owned(),
    }
}

fn event_of(of: WorkflowKey) -> Wait {
    let name = "ready".to_owned();
    Wait::Event { of, name }
}

/// Parks a workflow that waits for one thing.
async fn parked(worker: &Worker, workflow_id: &str, wait: Wait) -> WorkflowKey {
    let key = worker.start(workflow_id).await;
    assert_eq!(worker.park(park(key, vec![wait])).await, Parked::Now);
    key
}

/// What a batch of a client comes to.
async fn written(case: &Case<'_>, change: Change) -> Written {
    let batch = Batch {
        executor: None,
        changes: vec![change],
    };
    let written = case.store.commit(batch).await;
    written.expect("a client's batch is applied")
}

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
    let owned = case.store.owned(&worker.id).await;
    assert!(owned.expect("what is owned can be read").is_empty());
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
    parked(&worker, "order-1", message_on("")).await;
    case.advance(DAY * 1_000).await;
    let worker = worker.renewed(&case).await;

    assert!(worker.claim_ids().await.is_empty());
    assert_eq!(case.state("order-1").await, State::Parked);
}

/// Any message does, and whoever sends it hears that somebody is to claim.
pub async fn a_message_wakes_a_parked_workflow(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    parked(&worker, "order-1", message_on("go")).await;

    let sent = written(&case, Change::Send(message("order-1", json!(1)))).await;
    assert!(sent.woken);
    let row = case.find("order-1").await;
    assert_eq!((row.state, row.reason), (State::Enqueued, None));
    assert_eq!(worker.claim_ids().await, ["order-1"]);
    let again = written(&case, Change::Send(message("order-1", json!(2)))).await;
    assert!(!again.woken, "it is awake");
}

/// A workflow's own messages wake others just so.
pub async fn a_message_of_a_workflow_wakes_a_parked_one(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    parked(&worker, "order-1", message_on("")).await;
    let sender = worker.start("sender").await;

    let message = stepwell_core::store::Effect::Send(message("order-1", json!(1)));
    worker.effects(sender, 0, vec![message]).await;
    assert_eq!(case.state("order-1").await, State::Enqueued);
}

/// A message that was sent before has nothing new.
pub async fn a_message_that_is_sent_again_wakes_nobody(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    case.send(keyed("order-1", "key", json!(1))).await;
    let number = case.first_message(key).await;
    worker.receive(key, 0, number).await;
    assert_eq!(
        worker.park(park(key, vec![message_on("")])).await,
        Parked::Now
    );

    let again = case.send(keyed("order-1", "key", json!(1))).await;
    assert_eq!(again, Sent::Duplicate { to: key });
    assert_eq!(case.state("order-1").await, State::Parked);
}

/// It goes on at once, and nothing was written.
pub async fn a_message_that_is_there_keeps_a_workflow_running(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    case.send(message("order-1", json!(1))).await;
    let parks = park(key, vec![message_on("other"), message_on("")]);
    assert_eq!(worker.park(parks).await, Parked::NotYet);

    let row = case.find("order-1").await;
    assert_eq!((row.state, row.reason), (State::Running, None));
    assert_eq!(row.executor.as_ref(), Some(&worker.id));
    let parks = park(key, vec![message_on("other")]);
    assert_eq!(worker.park(parks).await, Parked::Now, "nobody waits for it");
}

/// A published value wakes those who wait for it.
pub async fn an_event_wakes_a_parked_workflow(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let other = worker.start("other").await;
    parked(&worker, "order-1", event_of(other)).await;
    parked(&worker, "order-2", event_of(other)).await;

    worker.publish(other, 0, "ready", json!(1)).await;
    assert_eq!(case.state("order-1").await, State::Enqueued);
    assert_eq!(case.state("order-2").await, State::Enqueued);
    let key = case.find("order-1").await.key;
    assert_eq!(worker.claim(10).await.len(), 2);
    let parks = park(key, vec![event_of(other)]);
    assert_eq!(worker.park(parks).await, Parked::NotYet, "it is there");
}

/// Every end counts: with an output, with an error, by a cancellation, also that of a parent.
pub async fn an_end_wakes_a_parked_workflow(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let mut others = Vec::new();
    for other in ["succeeds", "fails", "is cancelled", "is a child"] {
        let of = worker.start(other).await;
        let key = parked(
            &worker,
            &format!("waits until it {other}"),
            Wait::End { of },
        )
        .await;
        others.push((of, key));
    }
    let parent = worker.start("parent").await;
    worker
        .start_child(parent, 0, child_of(parent, "child"))
        .await;
    let of = case.find("child").await.key;
    parked(&worker, "waits for the child", Wait::End { of }).await;

    worker.succeed(others[0].0, json!(1)).await;
    worker.fail(others[1].0, json!("no")).await;
    case.cancel("is cancelled").await;
    case.cancel("parent").await;
    let woken = [
        "waits until it succeeds",
        "waits until it fails",
        "waits until it is cancelled",
        "waits for the child",
    ];
    for waiter in woken {
        assert_eq!(case.state(waiter).await, State::Enqueued, "{waiter}");
    }
    let left = "waits until it is a child";
    assert_eq!(case.state(left).await, State::Parked);
    assert_eq!(worker.claim_ids().await.len(), 4);
    for (of, key) in &others[..3] {
        let parks = park(*key, vec![Wait::End { of: *of }]);
        assert_eq!(worker.park(parks).await, Parked::NotYet, "it has ended");
    }
}

/// One that is stuck may go on: whoever waits for its end still does.
pub async fn a_workflow_that_is_stuck_wakes_nobody(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let of = worker.start("other").await;
    parked(&worker, "order-1", Wait::End { of }).await;
    worker.stick(of, "it cannot go on").await;
    assert_eq!(case.state("order-1").await, State::Parked);

    case.resume("other").await;
    worker.claim(10).await;
    worker.succeed(of, json!(1)).await;
    assert_eq!(case.state("order-1").await, State::Enqueued);
}

/// Whichever comes first wakes it, and what comes later finds it awake.
pub async fn the_first_of_several_wakes_a_parked_workflow(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let (one, two) = (worker.start("one").await, worker.start("two").await);
    let key = worker.start("order-1").await;
    let waits = vec![Wait::End { of: one }, event_of(two), message_on("")];
    assert_eq!(worker.park(park(key, waits)).await, Parked::Now);

    worker.publish(two, 0, "ready", json!(1)).await;
    assert_eq!(worker.claim_ids().await, ["order-1"]);
    worker.succeed(one, json!(1)).await;
    case.send(message("order-1", json!(1))).await;
    let row = case.find("order-1").await;
    assert_eq!((row.state, row.executor), (State::Running, Some(worker.id)));
}

/// An answer that was lost: it is parked, and that is what was asked for.
pub async fn a_workflow_that_is_parked_again_is_parked(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = parked(&worker, "order-1", message_on("")).await;
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
    let key = parked(&worker, "order-1", message_on("")).await;

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
    parked(&worker, "order-1", message_on("")).await;
    let on_its_way = Resumed::Not(State::Parked);
    assert_eq!(case.resume("order-1").await, on_its_way);
    assert_eq!(case.state("order-1").await, State::Parked);
}

/// Nobody has it, so nobody can lose it.
pub async fn a_parked_workflow_outlives_its_executor(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    parked(&worker, "order-1", message_on("")).await;
    case.let_leases_end().await;
    let heir = case.register().await;
    heir.take_over().await;
    assert_eq!(case.state("order-1").await, State::Parked);

    case.send(message("order-1", json!(1))).await;
    assert_eq!(heir.claim_ids().await, ["order-1"]);
    assert_eq!(case.find("order-1").await.recoveries, 0);
}

/// It is one of its kind that has not ended, and has begun; a message that comes with a start that
/// joins it wakes it.
pub async fn a_start_joins_a_parked_workflow(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let unique = |workflow_id: &str| NewWorkflow {
        unique: Some(Box::new(Unique::new("customer-1"))),
        ..here(workflow_id)
    };
    let key = worker.new_workflow(unique("order-1")).await;
    let parks = park(key, vec![message_on("go")]);
    assert_eq!(worker.park(parks).await, Parked::Now);
    let message = StartMessage {
        topic: "go".to_owned(),
        key: "start".to_owned(),
        payload: payload(json!(1)),
    };
    let joins = NewWorkflow {
        message: Some(Box::new(message)),
        ..unique("order-2")
    };
    match case.start(joins).await {
        Started::Joined { key: joined, .. } => assert_eq!(joined, key),
        other => panic!("it came to {other:?}"),
    }
    assert_eq!(case.state("order-1").await, State::Enqueued);
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

/// Trap: a message comes while its receiver is being parked. Whoever is second sees the first.
pub async fn a_message_that_crosses_the_parking_is_not_slept_through(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let rounds = (0..40).map(|round| {
        let (case, worker) = (&case, &worker);
        async move {
            let receiver = format!("order-{round}");
            let key = worker.start(&receiver).await;
            let message = NewMessage {
                topic: "go".to_owned(),
                ..message(&receiver, json!(1))
            };
            let sends = case.send(message);
            let parks = worker.park(park(key, vec![message_on("go")]));
            let (_, parked) = futures_util::join!(sends, parks);
            expect_awake(case, &receiver, parked).await;
        }
    });
    join_all(rounds).await;
}

/// Trap: the same between a published value, or an end, and whoever waits for it.
pub async fn what_crosses_the_parking_is_not_slept_through(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (worker, other) = (case.register().await, case.register().await);
    let rounds = (0..60).map(|round| {
        let (case, worker, other) = (&case, &worker, &other);
        async move {
            let waiter = format!("order-{round}");
            let of = other.start(&format!("other-{round}")).await;
            let key = worker.start(&waiter).await;
            let wait = match round % 3 {
                0 => event_of(of),
                _ => Wait::End { of },
            };
            let does = async {
                match round % 3 {
                    0 => drop(other.publish(of, 0, "ready", json!(1)).await),
                    1 => drop(other.finish(of, End::Succeeded(payload(json!(1)))).await),
                    _ => drop(case.cancel(&format!("other-{round}")).await),
                }
            };
            let parks = worker.park(park(key, vec![wait]));
            let ((), parked) = futures_util::join!(does, parks);
            expect_awake(case, &waiter, parked).await;
        }
    });
    join_all(rounds).await;
}

/// What a workflow waits for has come: it was not parked, or was woken.
async fn expect_awake(case: &Case<'_>, workflow_id: &str, parked: Parked) {
    let expected = match parked {
        Parked::Now => State::Enqueued,
        Parked::NotYet => State::Running,
        other => panic!("parking came to {other:?}"),
    };
    let workflow = case.store.find(&id(workflow_id)).await;
    let workflow = workflow.expect("it can be read").expect("it is there");
    assert_eq!(workflow.state, expected, "{workflow_id}: {parked:?}");
}
