//! Several members of one group, one of which dies.

use stepwell::State;
use tempfile::tempdir;

use crate::cluster::{Cluster, app, consuming, number, stop, wait_for};

/// Whatever is fetched twice is found: the database has each message once.
#[tokio::test]
async fn members_that_come_and_go_process_each_message_once() {
    let cluster = Cluster::with_topic("orders", 4);
    let folder = tempdir().unwrap();
    let path = folder.path().join("shop.db");
    let (one, other) = (app(&path).await, app(&path).await);
    let first = consuming(&one, cluster.kafka("orders").batch(7), number);
    let send = async |from: u32, to: u32| {
        for number in from..to {
            let partition = i32::try_from(number % 4).unwrap();
            cluster
                .send("orders", partition, "key", number.to_string().as_bytes())
                .await;
        }
    };
    send(0, 40).await;
    wait_for(&one, State::Succeeded, 10).await;
    let second = consuming(&other, cluster.kafka("orders").batch(7), number);
    send(40, 80).await;
    wait_for(&one, State::Succeeded, 50).await;
    // Dropped where it stands: nothing is committed any more, and the group has to notice.
    drop(first);
    send(80, 120).await;
    let done = wait_for(&one, State::Succeeded, 120).await;
    assert_eq!(done.len(), 120, "each once");
    stop(other, second).await;
    one.shutdown().await;
}
