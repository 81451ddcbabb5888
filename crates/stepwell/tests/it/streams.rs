//! Streams are read while the workflow runs, and hold every entry once.

use futures_util::StreamExt;
use stepwell::{Ctx, Stream, Topic, testing::Harness, workflow};

const LINES: Stream<String> = Stream::new("lines");
const GO: Topic<()> = Topic::new("go");

#[workflow]
async fn narrator(ctx: &mut Ctx) -> stepwell::Result<()> {
    ctx.append(LINES, "once".to_owned()).await;
    ctx.recv(GO).await;
    ctx.append(LINES, "upon a time".to_owned()).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_read_live_and_ends_with_its_workflow() {
    let test = Harness::new(()).await;
    let handle = test.app.start(narrator().id("n")).await.unwrap();
    let mut lines = Box::pin(handle.stream(LINES, 0));
    assert_eq!(lines.next().await.unwrap().unwrap(), "once");
    test.crash().await;
    handle.send(GO, ()).await.unwrap();
    assert_eq!(lines.next().await.unwrap().unwrap(), "upon a time");
    assert!(lines.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stream_can_be_read_from_an_offset() {
    let test = Harness::new(()).await;
    let handle = test.app.start(narrator()).await.unwrap();
    handle.send(GO, ()).await.unwrap();
    handle.result().await.unwrap();
    let lines: Vec<_> = handle.stream(LINES, 1).map(Result::unwrap).collect().await;
    assert_eq!(lines, ["upon a time"]);
}
