//! Messages and events, inside and outside of workflows.

use std::time::Duration;

use stepwell::{Ctx, ErrorKind, Event, Topic, testing::Harness, workflow};

const PING: Topic<u32> = Topic::new("ping");
const PONG: Event<u32> = Event::new("pong");
const LONG: Duration = Duration::from_secs(3_600);

#[workflow]
async fn echo(ctx: &mut Ctx, times: u32) -> stepwell::Result<Vec<u32>> {
    let mut heard = Vec::new();
    for _ in 0..times {
        let ping = ctx.recv(PING).await;
        ctx.set_event(PONG, ping).await;
        heard.push(ping);
    }
    Ok(heard)
}

#[workflow]
async fn caller(ctx: &mut Ctx) -> stepwell::Result<u32> {
    ctx.send("echo", PING, 5).await;
    Ok(ctx.get_event("echo", PONG).await)
}

#[tokio::test(start_paused = true)]
async fn messages_are_received_in_the_order_of_sending() {
    let test = Harness::new(()).await;
    let handle = test.app.start(echo(3)).await.unwrap();
    for ping in [3, 1, 2] {
        handle.send(PING, ping).await.unwrap();
    }
    assert_eq!(handle.result().await.unwrap(), [3, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn one_workflow_talks_to_another() {
    let test = Harness::new(()).await;
    test.app.start(echo(1).id("echo")).await.unwrap();
    assert_eq!(test.app.run(caller()).await.unwrap(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_receive_gives_up_when_its_time_is_over() {
    #[workflow]
    async fn waits(ctx: &mut Ctx) -> stepwell::Result<Option<u32>> {
        Ok(ctx.recv(PING).timeout(LONG).await)
    }
    let test = Harness::new(()).await;
    let begun = test.app.client().now();
    assert_eq!(test.app.run(waits()).await.unwrap(), None);
    assert_eq!(test.app.client().now().duration_since(begun).as_hours(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_never_comes_is_none_after_the_timeout() {
    let test = Harness::new(()).await;
    let handle = test.app.start(echo(1)).await.unwrap();
    assert_eq!(handle.get_event(PONG).timeout(LONG).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_workflow_that_ended_without_publishing_is_not_waited_for() {
    let test = Harness::new(()).await;
    let handle = test.app.start(echo(0)).await.unwrap();
    let begun = tokio::time::Instant::now();
    assert_eq!(handle.get_event(PONG).timeout(LONG).await.unwrap(), None);
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_workflow_is_an_error_at_once() {
    let test = Harness::new(()).await;
    let error = test.app.send("nobody", PING, 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.to_string(), "there is no workflow `nobody`");
    let error = test.app.get_event("nobody", PONG).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = test
        .app
        .handle::<echo>("nobody")
        .cancel()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_message_of_another_type_makes_the_receiver_stuck_with_a_sentence() {
    const OTHER: Topic<String> = Topic::new("ping");
    let test = Harness::new(()).await;
    let handle = test.app.start(echo(1)).await.unwrap();
    handle.send(OTHER, "five".to_owned()).await.unwrap();
    let error = handle.result().await.unwrap_err().to_string();
    assert!(
        error.contains("operation 0 `ping`: its value no longer fits its type"),
        "{error}"
    );
}
