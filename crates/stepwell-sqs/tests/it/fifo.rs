//! FIFO queues.

use std::sync::{Arc, Mutex};

use stepwell::{
    State,
    events::{Delivery, event_id},
};
use tempfile::tempdir;

use crate::endpoint::{Queue, app, consuming, number, stop, wait_for};

#[tokio::test]
async fn a_group_is_the_key_and_a_deduplication_id_may_be_the_events() {
    let queue = Queue::new("groups.fifo", 30).await;
    for number in ["1", "2", "3"] {
        let sent = queue
            .client
            .send_message()
            .queue_url(&queue.url)
            .message_body(number);
        let sent = sent
            .message_group_id("customer-7")
            .message_deduplication_id(number);
        sent.send().await.unwrap();
    }
    let folder = tempdir().unwrap();
    let app = app(&folder.path().join("shop.db")).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&seen);
    let consumers = consuming(
        &app,
        queue.sqs().by_deduplication_id(),
        move |delivery: &Delivery| {
            note.lock()
                .unwrap()
                .push((delivery.key.clone(), delivery.id.clone()));
            number(delivery)
        },
    );
    let mut done = wait_for(&app, State::Succeeded, 3).await;
    done.sort();
    let ids = ["1", "2", "3"].map(|id| format!("customer-7 {id}"));
    let mut expected = ids.each_ref().map(|id| event_id("sqs", &[id]).to_string());
    expected.sort();
    assert_eq!(done, expected);
    let expected = ids.map(|id| (Some("customer-7".to_owned()), id));
    assert_eq!(*seen.lock().unwrap(), expected);
    queue.wait_until_empty().await;
    stop(app, consumers).await;
}
