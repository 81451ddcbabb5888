//! Panics of the user's code leave nothing that says `running` and that nobody runs.

use serde::{Deserialize, Serialize};
use stepwell::{
    Ctx, Payload, State, Topic, WorkflowError, WorkflowId, store::NewWorkflow, testing::Harness,
    workflow,
};

/// At least one; whoever reads another one panics. It is handed in without its type: what cannot be read
/// back is refused where it is written.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Count(u32);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let count = u32::deserialize(deserializer)?;
        assert!(count > 0, "a count of nothing");
        Ok(Self(count))
    }
}

const COUNTS: Topic<Count> = Topic::new("counts");

#[workflow]
async fn counted(_ctx: &mut Ctx, count: Count) -> stepwell::Result<u32> {
    Ok(count.0)
}

#[workflow]
async fn hears_a_count(ctx: &mut Ctx) -> stepwell::Result<u32> {
    Ok(ctx.recv(COUNTS).await.0)
}

#[workflow]
async fn remembers(ctx: &mut Ctx) -> stepwell::Result<u32> {
    let count = ctx.step("count", async || Ok(Count(0))).await?;
    Ok(count.0)
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_arguments_are_read_makes_the_workflow_stuck() {
    let test = Harness::new(()).await;
    let none = Payload::of(&(0_u32,), 100).unwrap();
    let new = NewWorkflow::new(WorkflowId::new("c").unwrap(), "counted", none);
    test.app.client().start(new).await.unwrap();
    let handle = test.app.handle::<counted>("c");
    let Err(WorkflowError::Stuck(reason)) = handle.result().await else {
        panic!("the workflow is not stuck");
    };
    assert_eq!(
        reason,
        "the recorded arguments no longer fit their types: its type panicked: a count of nothing"
    );
    test.crash().await;
    assert_eq!(handle.status().await.unwrap(), State::Stuck);
    assert_eq!(test.app.run(counted(Count(2))).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_a_message_is_read_makes_the_workflow_stuck() {
    let test = Harness::new(()).await;
    let handle = test.app.start(hears_a_count().id("h")).await.unwrap();
    let none = Payload::of(&0_u32, 100).unwrap();
    let client = test.app.client();
    client.send("h", COUNTS.name(), none, None).await.unwrap();
    let Err(WorkflowError::Stuck(reason)) = handle.result().await else {
        panic!("the workflow is not stuck");
    };
    assert!(reason.contains("a count of nothing"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_a_steps_output_is_read_makes_the_workflow_stuck() {
    let test = Harness::new(()).await;
    let Err(WorkflowError::Stuck(reason)) = test.app.run(remembers()).await else {
        panic!("the workflow is not stuck");
    };
    assert!(reason.contains("operation 0 `count`"), "{reason}");
    assert!(reason.contains("a count of nothing"), "{reason}");
}
