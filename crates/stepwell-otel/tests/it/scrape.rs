//! What `GET /metrics` says.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use stepwell::{State, redrive::RedriveFrom};

use crate::scene::{LINE, Scene, order};

/// Seven of ten succeed, three fail, one comes twice, one is poison.
async fn a_day() -> Scene {
    let scene = Scene::new().await;
    for number in 7..17 {
        scene
            .deliver(&format!("sale-{number}"), &number.to_string())
            .await;
    }
    scene.deliver("sale-12", "12").await;
    scene.deliver("sale-x", "x").await;
    let app = &scene.test.app;
    for number in 7..17 {
        app.client()
            .wait(&format!("till~event-sale-{number}"))
            .await
            .unwrap();
    }
    let poison = app.client().list(stepwell::store::Filter {
        name: Some("stepwell.poison".to_owned()),
        ..Default::default()
    });
    let poison = poison.await.unwrap().remove(0);
    app.client().wait(poison.id.as_str()).await.unwrap();
    scene
}

#[tokio::test(start_paused = true)]
async fn events_are_counted_by_what_became_of_them() {
    let scene = a_day().await;
    assert_eq!(
        scene.lines("stepwell_events_total").await,
        [
            r#"stepwell_events_total{fate="duplicate",source="till",type="sale"} 1"#,
            r#"stepwell_events_total{fate="poison",source="till",type="sale"} 1"#,
            r#"stepwell_events_total{fate="started",source="till",type="sale"} 10"#,
        ]
    );
    let age = scene.lines("stepwell_event_age_seconds_").await;
    let bucket = |le: &str, count: u32| {
        format!(
            r#"stepwell_event_age_seconds_bucket{{source="till",type="sale",le="{le}"}} {count}"#
        )
    };
    assert!(age.contains(&bucket("1", 0)), "{age:#?}");
    assert!(age.contains(&bucket("2.5", 10)), "{age:#?}");
}

#[tokio::test(start_paused = true)]
async fn workflows_are_counted_as_they_start_and_end() {
    let scene = a_day().await;
    assert_eq!(
        scene.lines("stepwell_workflows_started_total").await,
        [
            r#"stepwell_workflows_started_total{name="order",origin="till/sale"} 10"#,
            r#"stepwell_workflows_started_total{name="stepwell.poison",origin="till/sale"} 1"#,
        ]
    );
    assert_eq!(
        scene.lines("stepwell_workflows_ended_total").await,
        [
            r#"stepwell_workflows_ended_total{name="order",origin="till/sale",state="failed"} 3"#,
            r#"stepwell_workflows_ended_total{name="order",origin="till/sale",state="succeeded"} 7"#,
            r#"stepwell_workflows_ended_total{name="stepwell.poison",origin="till/sale",state="failed"} 1"#,
        ]
    );
    let steps = scene.lines("stepwell_step_duration_seconds_count").await;
    for (outcome, count) in [("error", 3), ("ok", 7)] {
        let of = format!(r#"outcome="{outcome}",step="sell",workflow="order""#);
        let line = format!("stepwell_step_duration_seconds_count{{{of}}} {count}");
        assert!(steps.contains(&line), "{steps:#?}");
    }
    let waits = scene.lines("stepwell_workflow_wait_seconds_count").await;
    let wait = r#"stepwell_workflow_wait_seconds_count{name="order",origin="till/sale"} 10"#;
    assert!(waits.contains(&wait.to_owned()), "{waits:#?}");
}

#[tokio::test(start_paused = true)]
async fn the_gauges_say_what_is_in_the_database() {
    let scene = a_day().await;
    let all = [
        r#"stepwell_workflows{name="order",origin="till/sale",state="failed"} 3"#,
        r#"stepwell_workflows{name="order",origin="till/sale",state="succeeded"} 7"#,
        r#"stepwell_workflows{name="stepwell.poison",origin="till/sale",state="failed"} 1"#,
    ];
    assert_eq!(scene.lines("stepwell_workflows{").await, all);
    assert_eq!(
        scene.lines("stepwell_dead_letters{").await,
        [
            r#"stepwell_dead_letters{name="order",state="failed"} 3"#,
            r#"stepwell_dead_letters{name="stepwell.poison",state="failed"} 1"#,
        ]
    );
    // A process that was killed has counted nothing; the database has.
    scene.test.crash().await;
    let client = scene.test.app.client();
    client
        .acknowledge("till~event-sale-7", "seen")
        .await
        .unwrap();
    // Counted at most once in a while.
    assert_eq!(
        scene
            .lines("stepwell_dead_letters{name=\"order\"")
            .await
            .len(),
        1
    );
    tokio::time::sleep(Duration::from_secs(11)).await;
    let order = r#"stepwell_dead_letters{name="order",state="failed"} 2"#;
    assert_eq!(
        scene.lines("stepwell_dead_letters{name=\"order\"").await,
        [order]
    );
    assert_eq!(scene.lines("stepwell_workflows{").await, all);
}

#[tokio::test(start_paused = true)]
async fn redriven_letters_and_queues_are_counted() {
    let scene = a_day().await;
    let app = &scene.test.app;
    app.state().door.is_open.store(true, SeqCst);
    let again = app
        .client()
        .redrive("till~event-sale-7", RedriveFrom::FailedStep)
        .await
        .unwrap();
    app.client().wait(&again).await.unwrap();
    // The same again starts nothing.
    app.client()
        .redrive("till~event-sale-7", RedriveFrom::FailedStep)
        .await
        .unwrap();
    assert_eq!(
        scene.lines("stepwell_dead_letters_redriven_total").await,
        [r#"stepwell_dead_letters_redriven_total{name="order"} 1"#]
    );
    let call = order(20)
        .id("queued")
        .queue(&LINE)
        .delay(Duration::from_secs(3_600));
    app.start(call).await.unwrap();
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(
        scene.lines("stepwell_queue_workflows{").await,
        [
            r#"stepwell_queue_workflows{queue="otel-line",state="running"} 0"#,
            r#"stepwell_queue_workflows{queue="otel-line",state="waiting"} 0"#,
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_workflow_has_ended() {
    let scene = Scene::new().await;
    let app = &scene.test.app;
    let call = order(20).id("late").delay(Duration::from_secs(60));
    app.start(call).await.unwrap();
    app.client().cancel("late").await.unwrap();
    app.client().wait("late").await.unwrap();
    // It never ran here: only the database tells.
    assert_eq!(scene.lines("stepwell_workflows_ended_total").await, [""; 0]);
    let cancelled = r#"stepwell_workflows{name="order",origin="",state="cancelled"} 1"#;
    assert_eq!(scene.lines("stepwell_workflows{").await, [cancelled]);
    assert_eq!(
        app.client().get("late").await.unwrap().unwrap().state,
        State::Cancelled
    );
}
