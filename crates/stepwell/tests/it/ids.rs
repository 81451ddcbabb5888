//! Ids that clients choose never meet ids that Stepwell makes, and each life of an id has its own work.

use std::{
    sync::atomic::{AtomicU32, Ordering::SeqCst},
    time::Duration,
};

use stepwell::{
    Ctx, ErrorKind, Payload, Position, State, WorkflowId,
    redrive::{Redrive, RedriveFrom},
    store::NewWorkflow,
    testing::Harness,
    workflow,
};

#[derive(Default)]
struct Shop {
    packed: AtomicU32,
}

#[workflow]
async fn pack(ctx: &mut Ctx<Shop>, number: u32) -> stepwell::Result<u32> {
    let shop = ctx.state();
    ctx.step("pack", async || {
        shop.packed.fetch_add(1, SeqCst);
        Ok(number)
    })
    .await
}

/// Its first operation is a child.
#[workflow]
async fn order(ctx: &mut Ctx<Shop>, number: u32) -> stepwell::Result<u32> {
    let packed = ctx.run(pack(number)).await?;
    ctx.step("close", async || Ok(packed)).await
}

#[tokio::test(start_paused = true)]
async fn an_id_that_looks_like_a_childs_is_another_workflow() {
    let test = Harness::new(Shop::default()).await;
    for id in [
        "order-1-0",
        "order-1-0.0",
        "order-1.0",
        "order-1:0.0",
        "order-1",
    ] {
        assert_eq!(test.app.run(order(7).id(id)).await.unwrap(), 7, "{id}");
    }
    let child = test
        .app
        .client()
        .children("order-1")
        .await
        .unwrap()
        .remove(0);
    let error = test
        .app
        .start(order(7).id(child.id.as_str()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}

#[tokio::test(start_paused = true)]
async fn ids_that_stepwell_makes_or_nobody_sees_are_refused_wherever_one_is_chosen() {
    let test = Harness::new(Shop::default()).await;
    let client = test.app.client();
    test.app.run(order(1).id("order-1")).await.unwrap();
    let job = Redrive::of("order", RedriveFrom::Start);
    for id in [
        "order-1~2",
        "nightly~tick-2026-01-01T00:00:00Z",
        "a ",
        "\u{202e}a",
        "-",
    ] {
        let new = NewWorkflow::new(WorkflowId::new(id).unwrap(), "order", Payload::null());
        let refused = [
            test.app.start(order(1).id(id)).await.map(|_| ()),
            client.start(new).await.map(|_| ()),
            client.fork("order-1", id, Position::top(0)).await,
            client.redrive_all(id, &job).await.map(|_| ()),
        ];
        for refused in refused {
            let error = refused.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        }
        assert!(client.get(id).await.unwrap().is_none(), "{id}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_workflow_with_a_used_id_has_children_of_its_own() {
    let test = Harness::new(Shop::default()).await;
    for life in 1..=3 {
        assert_eq!(test.app.run(order(7).id("order-1")).await.unwrap(), 7);
        assert_eq!(test.app.state().packed.load(SeqCst), life);
        test.app.client().delete("order-1").await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_fork_onto_the_id_of_another_workflow_is_refused() {
    let test = Harness::new(Shop::default()).await;
    let client = test.app.client();
    test.app.run(order(1).id("order-1")).await.unwrap();
    test.app.run(order(2).id("order-2")).await.unwrap();
    let fork = async |id: &str, at| client.fork("order-1", id, Position::top(at)).await;
    fork("fork", 1).await.unwrap();
    fork("fork", 1).await.unwrap();
    for (id, at) in [("order-2", 1), ("order-1", 1), ("fork", 0)] {
        let error = fork(id, at).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        assert!(error.to_string().contains(id), "{error}");
    }
    let other = client.get("order-2").await.unwrap().unwrap();
    assert_eq!((other.state, other.forked_from), (State::Succeeded, None));
}

#[tokio::test(start_paused = true)]
async fn a_key_of_a_message_that_looks_like_a_workflows_is_refused() {
    let test = Harness::new(Shop::default()).await;
    let call = order(1).id("order-1").delay(Duration::from_secs(60));
    test.app.start(call).await.unwrap();
    let client = test.app.client();
    let send = async |key: &str| {
        let key = Some(key.to_owned());
        client.send("order-1", "topic", Payload::null(), key).await
    };
    let error = send("~1:0").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    send("order-1:0").await.unwrap();
}
