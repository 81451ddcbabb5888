//! What wakes a parked workflow: a message, an event, the end of another one; and that no wake-up is
//! lost.

use futures_util::future::join_all;
use serde_json::json;
use stepwell_core::{
    End, State, Unique,
    store::{Change, Effect, NewMessage, NewWorkflow, Parked, Sent, StartMessage, Started, Wait},
};

use crate::{
    Backend,
    fixture::{Case, child_of, event_of, here, keyed, message, message_on, park, payload},
};

/// Any message does, and whoever sends it hears that somebody is to claim.
pub async fn a_message_wakes_a_parked_workflow(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    worker.parked("order-1", message_on("go")).await;

    let sent = case
        .written(Change::Send(message("order-1", json!(1))))
        .await;
    assert!(sent.woken);
    let row = case.find("order-1").await;
    assert_eq!((row.state, row.reason), (State::Enqueued, None));
    assert_eq!(worker.claim_ids().await, ["order-1"]);
    let again = case
        .written(Change::Send(message("order-1", json!(2))))
        .await;
    assert!(!again.woken, "it is awake");
}

/// A workflow's own messages wake others just so.
pub async fn a_message_of_a_workflow_wakes_a_parked_one(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    worker.parked("order-1", message_on("")).await;
    let sender = worker.start("sender").await;

    let message = Effect::Send(message("order-1", json!(1)));
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
    worker.parked("order-1", event_of(other)).await;
    worker.parked("order-2", event_of(other)).await;

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
        let key = worker
            .parked(&format!("waits until it {other}"), Wait::End { of })
            .await;
        others.push((of, key));
    }
    let parent = worker.start("parent").await;
    worker
        .start_child(parent, 0, child_of(parent, "child"))
        .await;
    let of = case.find("child").await.key;
    worker.parked("waits for the child", Wait::End { of }).await;

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
    worker.parked("order-1", Wait::End { of }).await;
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
    let state = case.state(workflow_id).await;
    assert_eq!(state, expected, "{workflow_id}: {parked:?}");
}
