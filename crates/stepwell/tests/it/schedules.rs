//! Schedules: every tick starts one workflow.

use stepwell::{Ctx, Timestamp, store::Filter, testing::Harness, workflow};

#[derive(Default)]
struct Ticking;

#[workflow(schedule = "*/10 * * * * *")]
async fn every_ten_seconds(ctx: &mut Ctx<Ticking>, at: Timestamp) -> stepwell::Result<i64> {
    ctx.step("tick", async || Ok(at.as_second())).await
}

#[tokio::test(start_paused = true)]
async fn a_tick_starts_one_workflow_with_its_time() {
    let test = Harness::new(Ticking).await;
    let filter = || Filter {
        name: Some("every_ten_seconds".into()),
        ..Filter::default()
    };
    while test.app.client().list(filter()).await.unwrap().len() < 3 {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    for row in test.app.client().list(filter()).await.unwrap() {
        let tick = test
            .app
            .handle::<every_ten_seconds>(row.id.as_str())
            .result()
            .await
            .unwrap();
        assert_eq!(tick % 10, 0, "{}", row.id);
        assert_eq!(row.origin.as_deref(), Some("schedule"));
    }
}
