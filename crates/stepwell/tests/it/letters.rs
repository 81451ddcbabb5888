//! Dead letters: counted by what they have in common, acknowledged with a note.

use stepwell::{App, Ctx, ErrorKind, State, store::Filter, workflow};

#[workflow]
async fn hand_over(_ctx: &mut Ctx, order: u32) -> stepwell::Result<()> {
    match order {
        0 => Ok(()),
        order if order < 10 => Err(stepwell::Failure::msg(format!("no stock for {order}"))),
        _ => panic!("an order that nobody thought of"),
    }
}

#[tokio::test]
async fn what_failed_alike_is_one_group_until_somebody_has_looked() {
    let app = App::builder("letters").database("sqlite::memory:");
    let app = app.launch().await.unwrap();
    for order in [0, 1, 2, 3, 10] {
        let call = hand_over(order).id(format!("order-{order}"));
        let _ended = app.run(call).await;
    }
    let client = app.client();
    let groups = client.dead_letters().await.unwrap();
    let counts = groups.iter().map(|group| (group.state, group.count));
    assert_eq!(
        counts.collect::<Vec<_>>(),
        [(State::Failed, 3), (State::Failed, 1)]
    );
    assert_eq!(groups[0].newest.as_str(), "order-3");

    let alike = Filter {
        fingerprint: groups[0].fingerprint.clone(),
        unacknowledged: true,
        ..Filter::default()
    };
    for letter in client.list(alike.clone()).await.unwrap() {
        let note = "the customers were told";
        client.acknowledge(letter.id.as_str(), note).await.unwrap();
        client
            .acknowledge(letter.id.as_str(), "again")
            .await
            .unwrap();
    }
    assert_eq!(client.list(alike).await.unwrap(), []);
    let left = client.dead_letters().await.unwrap();
    assert_eq!(left, groups[1..]);
    let looked_at = client.get("order-1").await.unwrap().unwrap();
    let note = looked_at.acknowledged.unwrap().note;
    assert_eq!(
        (looked_at.state, note.as_str()),
        (State::Failed, "the customers were told")
    );
}

#[tokio::test]
async fn an_acknowledgement_is_of_a_dead_letter_and_says_something() {
    let app = App::builder("letters-2").database("sqlite::memory:");
    let app = app.launch().await.unwrap();
    app.run(hand_over(0).id("order-0")).await.unwrap();
    let client = app.client();
    let long = "x".repeat(1_025);
    for (id, note, kind) in [
        ("order-0", "fine", ErrorKind::Conflict),
        ("nobody", "gone", ErrorKind::NotFound),
        ("order-0", "", ErrorKind::Invalid),
        ("order-0", long.as_str(), ErrorKind::Invalid),
    ] {
        let refused = client.acknowledge(id, note).await.unwrap_err();
        assert_eq!(refused.kind(), kind, "{refused}");
    }
}
