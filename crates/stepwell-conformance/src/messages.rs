//! Messages: written once, read in order, consumed once.

use futures_util::future::join_all;
use serde_json::json;
use stepwell_core::{
    Outcome, Payload, RecordKind, State, WorkflowKey,
    store::{
        Applied, Change, EditMessage, Edited, Effect, EffectOutcome, NewMessage, NewRecord,
        PAGE_BYTES_MAX, Progress, Progressed, Sent, WaitingMessage,
    },
};

use crate::{
    Backend,
    fixture::{Case, expect_about, id, keyed, message, payload, step},
};

fn on(topic: &str, message: NewMessage) -> NewMessage {
    NewMessage {
        topic: topic.to_owned(),
        ..message
    }
}

/// A message waits in the inbox, for the receiver that the answer names.
pub async fn a_message_waits_in_the_inbox(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let to = case.enqueue("order-1").await;

    let sent = case.send(message("order-1", json!({"paid": 3}))).await;
    assert_eq!(sent, Sent::New { to });
    assert_eq!(case.inbox(to, "").await, [json!({"paid": 3})]);
}

/// "In the order of sending."
pub async fn messages_are_read_in_the_order_of_sending(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let to = case.enqueue("order-1").await;
    for number in 0..3 {
        case.send(message("order-1", json!(number))).await;
    }
    let both = [3, 4].map(|number| Change::Send(message("order-1", json!(number))));
    case.commit(both.to_vec()).await;

    assert_eq!(case.inbox(to, "").await, [0, 1, 2, 3, 4].map(|n| json!(n)));
}

/// An inbox has a compartment for each topic; no topic is one of them.
pub async fn topics_are_apart(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let to = case.enqueue("order-1").await;
    case.send(on("paid", message("order-1", json!(1)))).await;
    case.send(message("order-1", json!(2))).await;

    assert_eq!(case.inbox(to, "paid").await, [json!(1)]);
    assert_eq!(case.inbox(to, "").await, [json!(2)]);
    assert!(case.inbox(to, "PAID").await.is_empty());
}

/// A message is for its receiver alone.
pub async fn inboxes_are_apart(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    case.enqueue("order-1").await;
    let other = case.enqueue("order-2").await;
    case.send(message("order-1", json!(1))).await;

    assert!(case.inbox(other, "").await.is_empty());
}

/// "The oldest messages …, up to `limit`."
pub async fn an_inbox_is_read_from_its_oldest_message(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let to = case.enqueue("order-1").await;
    for number in 0..5 {
        case.send(message("order-1", json!(number))).await;
    }

    let read = case
        .store
        .inbox(to, "", 2)
        .await
        .expect("an inbox can be read");
    assert_eq!(read.len(), 2);
    assert_eq!(
        (&read[0].payload, &read[1].payload),
        (&payload(json!(0)), &payload(json!(1)))
    );
}

/// "Fewer when they hold [`PAGE_BYTES_MAX`]".
pub async fn an_inbox_is_read_up_to_so_many_bytes(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let to = case.enqueue("order-1").await;
    let large = json!("x".repeat(PAGE_BYTES_MAX / 2 + 1));
    for _ in 0..3 {
        case.send(message("order-1", large.clone())).await;
    }
    let read = case.store.inbox(to, "", 1_000).await;
    assert_eq!(read.expect("an inbox can be read").len(), 2);
}

/// [`Sent::Duplicate`]: sent once for each key and receiver.
pub async fn a_message_with_a_key_is_sent_once(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let to = case.enqueue("order-1").await;

    assert_eq!(
        case.send(keyed("order-1", "k", json!(1))).await,
        Sent::New { to }
    );
    assert_eq!(
        case.send(keyed("order-1", "k", json!(2))).await,
        Sent::Duplicate { to }
    );
    let other_topic = on("paid", keyed("order-1", "k", json!(3)));
    assert_eq!(case.send(other_topic).await, Sent::Duplicate { to });
    assert_eq!(case.inbox(to, "").await, [json!(1)]);
}

/// The key of one receiver is free for another.
pub async fn a_key_counts_for_its_receiver(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (one, other) = (case.enqueue("order-1").await, case.enqueue("order-2").await);

    let first = case.send(keyed("order-1", "k", json!(1))).await;
    let second = case.send(keyed("order-2", "k", json!(1))).await;
    assert_eq!(
        (first, second),
        (Sent::New { to: one }, Sent::New { to: other })
    );
}

/// Without a key every send is a message.
pub async fn messages_without_a_key_are_all_sent(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let to = case.enqueue("order-1").await;
    case.send(message("order-1", json!(1))).await;
    case.send(message("order-1", json!(1))).await;

    assert_eq!(case.inbox(to, "").await.len(), 2);
}

/// Two senders that do not know of each other: one message.
pub async fn a_key_is_sent_once_by_two_senders(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let (sender, to) = (worker.start("sender").await, case.enqueue("order-1").await);
    case.send(keyed("order-1", "k", json!("from outside")))
        .await;

    let send = Effect::Send(keyed("order-1", "k", json!("from a workflow")));
    let progressed = worker.effects(sender, 0, vec![send]).await;
    let duplicate = EffectOutcome::Sent(Sent::Duplicate { to });
    assert_eq!(progressed, Progressed::Recorded(vec![duplicate]));
    assert_eq!(case.inbox(to, "").await, [json!("from outside")]);
}

/// Many senders at the same time: one message.
pub async fn a_key_is_sent_once_by_many_senders_at_once(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let to = case.enqueue("order-1").await;

    let sends = (0..16).map(|number| case.send(keyed("order-1", "k", json!(number))));
    let sent = join_all(sends).await;
    let new = sent.iter().filter(|it| **it == Sent::New { to }).count();
    assert_eq!(new, 1, "{sent:?}");
    assert_eq!(case.inbox(to, "").await.len(), 1);
}

/// [`Sent::Ended`], but for what it has received before: a send whose answer was lost was no vain one.
pub async fn one_that_has_ended_receives_nothing_more(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let to = worker.start("order-1").await;
    case.send(keyed("order-1", "k", json!(1))).await;
    worker.succeed(to, json!(1)).await;
    let state = State::Succeeded;

    assert_eq!(
        case.send(keyed("order-1", "k", json!(1))).await,
        Sent::Duplicate { to }
    );
    for message in [
        keyed("order-1", "l", json!(2)),
        message("order-1", json!(3)),
    ] {
        assert_eq!(case.send(message).await, Sent::Ended { state });
    }
    assert_eq!(case.inbox(to, "").await, [json!(1)]);
}

/// One that is cancelled receives again when it was resumed.
pub async fn a_resumed_workflow_receives_again(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let to = case.enqueue("order-1").await;
    case.cancel("order-1").await;
    let state = State::Cancelled;
    assert_eq!(
        case.send(message("order-1", json!(1))).await,
        Sent::Ended { state }
    );
    case.resume("order-1").await;

    assert_eq!(
        case.send(message("order-1", json!(2))).await,
        Sent::New { to }
    );
    assert_eq!(case.inbox(to, "").await, [json!(2)]);
}

/// "The record of the send becomes a failed one and says why."
pub async fn a_message_that_is_lost_leaves_a_trace(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let sender = worker.start("order-1").await;
    let send = |to| Progress {
        key: sender,
        records: vec![NewRecord {
            kind: RecordKind::Send,
            ..step(0, "note", json!("hello"))
        }],
        effects: vec![Effect::Send(keyed(to, "k", json!("hello")))],
    };
    let nobody = EffectOutcome::Sent(Sent::NoSuchWorkflow);
    assert_eq!(
        worker.progress(send("nobody")).await,
        Progressed::Recorded(vec![nobody])
    );

    let history = case.history(sender).await;
    let last = history.last().expect("the send was recorded");
    assert_eq!(
        last.outcome,
        Outcome::Err(payload(json!("there is no workflow `nobody`")))
    );
}

/// [`Sent::NoSuchWorkflow`], and nothing waits for one that comes later.
pub async fn a_message_to_nobody_is_not_kept(backend: &dyn Backend) {
    let case = Case::new(backend).await;

    let sent = case.send(keyed("order-1", "k", json!(1))).await;
    assert_eq!(sent, Sent::NoSuchWorkflow);
    let to = case.enqueue("order-1").await;
    assert!(case.inbox(to, "").await.is_empty());
    assert_eq!(
        case.send(keyed("order-1", "k", json!(1))).await,
        Sent::New { to }
    );
}

/// A workflow whose message has no receiver learns it, and its record is made.
pub async fn a_workflow_learns_that_its_message_has_no_receiver(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    let send = Effect::Send(keyed("order-9", "order-1:0", json!(1)));

    let progressed = worker.effects(key, 0, vec![send]).await;
    let outcome = EffectOutcome::Sent(Sent::NoSuchWorkflow);
    assert_eq!(progressed, Progressed::Recorded(vec![outcome]));
    assert_eq!(case.places(key).await, ["", "0"]);
}

/// A message that was received is no longer in the inbox; the next one is.
pub async fn a_received_message_leaves_the_inbox(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    case.send(message("order-1", json!(1))).await;
    case.send(message("order-1", json!(2))).await;

    let first = case.first_message(key).await;
    let progressed = worker.receive(key, 0, first).await;
    assert_eq!(progressed, Progressed::Recorded(vec![EffectOutcome::Done]));
    assert_eq!(case.inbox(key, "").await, [json!(2)]);
}

/// Consumed once: the second operation that wants the message gets nothing and leaves no record.
pub async fn a_message_is_received_once(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    case.send(message("order-1", json!(1))).await;
    let message = case.first_message(key).await;
    let receive = |number| {
        let records = vec![step(number, "recv", json!(1))];
        let effects = vec![Effect::Receive { message }];
        Change::Progress(Progress {
            key,
            records,
            effects,
        })
    };

    let applied = worker.commit(vec![receive(0), receive(1)]).await;
    assert!(
        matches!(applied[0], Applied::Progress(Progressed::Recorded(_))),
        "{applied:?}"
    );
    assert!(
        matches!(applied[1], Applied::Progress(Progressed::Conflict { .. })),
        "{applied:?}"
    );
    assert_eq!(case.places(key).await, ["", "0"]);
}

/// A message is taken "out of the workflow's own inbox" only.
pub async fn a_message_to_another_workflow_cannot_be_received(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let (thief, to) = (worker.start("thief").await, worker.start("order-1").await);
    case.send(message("order-1", json!(1))).await;
    let message = case.first_message(to).await;

    let progressed = worker.receive(thief, 0, message).await;
    assert!(
        matches!(progressed, Progressed::Conflict { .. }),
        "{progressed:?}"
    );
    assert_eq!(case.inbox(to, "").await, [json!(1)]);
}

/// A key stays used after its message was received.
pub async fn a_key_stays_used_after_the_receive(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    case.send(keyed("order-1", "k", json!(1))).await;
    let message = case.first_message(key).await;
    worker.receive(key, 0, message).await;

    assert_eq!(
        case.send(keyed("order-1", "k", json!(1))).await,
        Sent::Duplicate { to: key }
    );
    assert!(case.inbox(key, "").await.is_empty());
}

/// A workflow may write to itself.
pub async fn a_workflow_can_send_to_itself(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;

    let send = Effect::Send(keyed("order-1", "order-1:0", json!("note")));
    let progressed = worker.effects(key, 0, vec![send]).await;
    let outcome = EffectOutcome::Sent(Sent::New { to: key });
    assert_eq!(progressed, Progressed::Recorded(vec![outcome]));
    assert_eq!(case.inbox(key, "").await, [json!("note")]);
}

async fn waiting(case: &Case<'_>, key: WorkflowKey) -> Vec<WaitingMessage> {
    let mut all: Vec<WaitingMessage> = Vec::new();
    loop {
        let page = case.store.waiting_messages(key, all.last(), 2).await;
        let page = page.expect("an inbox can be listed");
        if page.is_empty() {
            return all;
        }
        assert!(page.len() <= 2);
        all.extend(page);
    }
}

/// "By topic, and in the order of sending, from behind a message, up to `limit`."
pub async fn what_waits_is_listed_page_by_page(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    for (topic, value) in [("b", 1), ("", 2), ("b", 3), ("a", 4), ("b", 5)] {
        let message = keyed("order-1", &format!("k{value}"), json!(value));
        case.send(on(topic, message)).await;
    }
    let received = waiting(&case, key).await[4].number;
    worker.receive(key, 0, received).await;

    let listed = waiting(&case, key).await;
    let shown: Vec<_> = listed
        .iter()
        .map(|it| (it.topic.as_str(), it.payload.as_str(), it.key.as_deref()))
        .collect();
    let expected = [
        ("", "2", Some("k2")),
        ("a", "4", Some("k4")),
        ("b", "1", Some("k1")),
        ("b", "3", Some("k3")),
    ];
    assert_eq!(shown, expected);
    expect_about(listed[0].sent_at, case.now());
}

async fn edit(case: &Case<'_>, to: &str, number: i64, payload: Option<Payload>) -> Edited {
    let edit = EditMessage {
        to: id(to),
        number,
        payload,
    };
    case.edit(edit).await
}

/// [`Edited`]: a message that is dropped is received by nobody, and its key stays used.
pub async fn a_message_is_dropped_once(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let key = case.enqueue("order-1").await;
    case.enqueue("order-2").await;
    case.send(keyed("order-1", "bad", json!("seven"))).await;
    case.send(keyed("order-1", "good", json!(7))).await;
    let bad = waiting(&case, key).await[0].number;
    assert_eq!(
        edit(&case, "order-2", bad, None).await,
        Edited::NoSuchMessage
    );
    assert_eq!(
        edit(&case, "nobody", bad, None).await,
        Edited::NoSuchMessage
    );
    assert_eq!(edit(&case, "order-1", bad, None).await, Edited::Now);

    assert_eq!(case.inbox(key, "").await, [json!(7)]);
    for payload in [None, Some(payload(json!(1)))] {
        assert_eq!(edit(&case, "order-1", bad, payload).await, Edited::Gone);
    }
    assert_eq!(
        case.send(keyed("order-1", "bad", json!(8))).await,
        Sent::Duplicate { to: key }
    );
}

/// One that is replaced keeps its turn.
pub async fn a_message_is_replaced_in_its_place(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let key = case.enqueue("order-1").await;
    case.send(message("order-1", json!("seven"))).await;
    case.send(message("order-1", json!(8))).await;
    let bad = waiting(&case, key).await[0].number;

    for _ in 0..2 {
        let edited = edit(&case, "order-1", bad, Some(payload(json!(7)))).await;
        assert_eq!(edited, Edited::Now);
    }
    assert_eq!(case.inbox(key, "").await, [json!(7), json!(8)]);
}
