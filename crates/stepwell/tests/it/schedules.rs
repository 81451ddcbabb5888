//! Schedules: every tick starts one workflow.

use std::{sync::Arc, time::Duration};

use stepwell::{
    App, Ctx, ErrorKind, Missed, Payload, Queue, ScheduleSpec, State, Timestamp,
    clock::TokioClock,
    store::{Batch, Change, Filter, NewSchedule, ScheduleChange, StoreUrl, open_store},
    testing::Harness,
    workflow,
};

#[derive(Default)]
struct Ticking;

#[workflow(schedule = "*/10 * * * * *")]
async fn every_ten_seconds(ctx: &mut Ctx<Ticking>, at: Timestamp) -> stepwell::Result<i64> {
    ctx.step("tick", async || Ok(at.as_second())).await
}

#[workflow(schedule = "@every 1h", missed = "all")]
async fn hourly(_ctx: &mut Ctx<Ticking>, at: Timestamp) -> stepwell::Result<i64> {
    Ok(at.as_second())
}

#[workflow]
async fn report(
    _ctx: &mut Ctx<Ticking>,
    at: Timestamp,
    region: String,
) -> stepwell::Result<(i64, String)> {
    Ok((at.as_second(), region))
}

static REPORTS: Queue = Queue::new("reports").concurrency(1);

fn named(name: &str) -> Filter {
    Filter {
        name: Some(name.into()),
        limit: 1_000,
        ..Filter::default()
    }
}

/// The ids of what has started under a name, the earliest first.
async fn started(test: &Harness<Ticking>, name: &str) -> Vec<String> {
    let mut ids: Vec<_> = test
        .app
        .client()
        .list(named(name))
        .await
        .unwrap()
        .into_iter()
        .map(|row| row.id.to_string())
        .collect();
    ids.sort();
    ids
}

/// Lets time pass, on the paused clock, until so many have started under a name.
async fn wait_for(test: &Harness<Ticking>, name: &str, count: usize) -> Vec<String> {
    loop {
        let ids = started(test, name).await;
        if ids.len() >= count {
            return ids;
        }
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
}

async fn define_report(test: &Harness<Ticking>, spec: &str, missed: Missed) {
    let spec = ScheduleSpec::new("report-eu", spec).missed(missed);
    let defined = test
        .app
        .define_schedule(spec, |at| report(at, "eu".into()).queue(&REPORTS))
        .await;
    defined.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_tick_starts_one_workflow_with_its_time() {
    let test = Harness::new(Ticking).await;
    wait_for(&test, "every_ten_seconds", 3).await;
    for row in test
        .app
        .client()
        .list(named("every_ten_seconds"))
        .await
        .unwrap()
    {
        let handle = test.app.handle::<every_ten_seconds>(row.id.as_str());
        assert_eq!(handle.result().await.unwrap() % 10, 0, "{}", row.id);
        assert_eq!(row.origin.as_deref(), Some("schedule every_ten_seconds"));
    }
}

#[tokio::test(start_paused = true)]
async fn ticks_that_were_missed_follow_the_policy() {
    let test = Harness::new(Ticking).await;
    let hours = wait_for(&test, "hourly", 1).await.len();
    let tens = started(&test, "every_ten_seconds").await.len();
    test.crash_for(Duration::from_secs(5 * 3_600)).await;
    wait_for(&test, "hourly", hours + 5).await;
    let tens_after = started(&test, "every_ten_seconds").await.len();
    assert!(
        tens_after <= tens + 3,
        "only the latest of 1,800 missed ticks starts"
    );
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_is_made_at_run_time_has_arguments_of_its_own() {
    let test = Harness::new(Ticking).await;
    define_report(&test, "@every 5m", Missed::Latest).await;
    let ids = wait_for(&test, "report", 2).await;
    let (at, region) = test.app.handle::<report>(&ids[0]).result().await.unwrap();
    assert_eq!((at % 300, region.as_str()), (0, "eu"));
    let row = test.app.client().get(&ids[0]).await.unwrap().unwrap();
    assert_eq!(row.queue.as_deref(), Some("reports"));

    test.app
        .client()
        .remove_schedule("report-eu")
        .await
        .unwrap();
    let before = started(&test, "report").await;
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(started(&test, "report").await, before);
}

#[tokio::test(start_paused = true)]
async fn a_paused_schedule_starts_nothing_until_it_is_resumed() {
    let test = Harness::new(Ticking).await;
    let client = test.app.client();
    define_report(&test, "@every 5m", Missed::All).await;
    wait_for(&test, "report", 1).await;
    client
        .pause_schedule("report-eu", "ann", "the printer burns")
        .await
        .unwrap();
    let before = started(&test, "report").await;
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(started(&test, "report").await, before);

    client.resume_schedule("report-eu").await.unwrap();
    let after = wait_for(&test, "report", before.len() + 1).await;
    assert_eq!(
        after.len(),
        before.len() + 1,
        "the ticks of the pause are gone"
    );
}

#[tokio::test(start_paused = true)]
async fn a_trigger_starts_one_more_and_a_backfill_the_ticks_of_the_past_once() {
    let test = Harness::new(Ticking).await;
    let client = test.app.client();
    define_report(&test, "0 3 1 1 *", Missed::Latest).await;
    let triggered = client.trigger_schedule("report-eu").await.unwrap();
    let (_, region) = test
        .app
        .handle::<report>(triggered.as_str())
        .result()
        .await
        .unwrap();
    assert_eq!(region, "eu");

    let from: Timestamp = "2001-01-01T03:00:00Z".parse().unwrap();
    let to: Timestamp = "2004-01-01T03:00:00Z".parse().unwrap();
    for _ in 0..2 {
        let ids = client
            .backfill_schedule("report-eu", from, to)
            .await
            .unwrap();
        let ids: Vec<_> = ids.iter().map(|id| id.as_str()).collect();
        assert_eq!(
            ids,
            [
                "report-eu~tick-2001-01-01T03:00:00Z",
                "report-eu~tick-2002-01-01T03:00:00Z",
                "report-eu~tick-2003-01-01T03:00:00Z"
            ]
        );
    }
    assert_eq!(wait_for(&test, "report", 4).await.len(), 4);
    let all = client.list(named("report")).await.unwrap();
    assert!(all.iter().all(|row| row.state != State::Failed));
}

#[tokio::test(start_paused = true)]
async fn a_backfill_leaves_ticks_as_they_are_that_ran_with_other_arguments() {
    let test = Harness::new(Ticking).await;
    let client = test.app.client();
    let define = |region: &str| {
        let region = region.to_owned();
        let spec = ScheduleSpec::new("report-eu", "0 3 1 1 *");
        test.app.define_schedule(spec, |at| report(at, region))
    };
    let year = |year: u16| -> Timestamp { format!("{year}-01-01T03:00:00Z").parse().unwrap() };
    define("eu").await.unwrap();
    let from_2002 = client.backfill_schedule("report-eu", year(2002), year(2003));
    assert_eq!(from_2002.await.unwrap().len(), 1);

    define("us").await.unwrap();
    let all = client.backfill_schedule("report-eu", year(2001), year(2004));
    assert_eq!(all.await.unwrap().len(), 3);
    for (year, expected) in [(2001, "us"), (2002, "eu"), (2003, "us")] {
        let id = format!("report-eu~tick-{year}-01-01T03:00:00Z");
        let (_, region) = test.app.handle::<report>(&id).result().await.unwrap();
        assert_eq!(region, expected, "{id}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_cannot_tick_keeps_no_other_from_it() {
    let clock = Arc::new(TokioClock::start());
    let store = open_store(&StoreUrl::new("sqlite::memory:"), clock).await;
    let store = store.unwrap();
    // A store does not ask what the arguments are.
    let broken = "broken".to_owned();
    let new = NewSchedule {
        name: broken.clone(),
        workflow: "report".to_owned(),
        spec: "@every 5m".to_owned(),
        timezone: None,
        missed: Missed::Latest,
        arguments: Payload::of(&"eu", 1_000).unwrap(),
        queue: None,
        executor: None,
        next_at: Some(store.now()),
    };
    let batch = Batch {
        executor: None,
        changes: vec![Change::Schedule(ScheduleChange::Define(new))],
    };
    store.commit(batch).await.unwrap();
    let test = Harness::with(App::builder("test").state(Ticking).store(store)).await;
    wait_for(&test, "every_ten_seconds", 3).await;
    let known = test.app.client().schedules().await.unwrap();
    let trouble = known.iter().find(|known| known.name == broken).unwrap();
    let trouble = trouble.trouble.as_ref().unwrap();
    assert!(trouble.contains("no JSON array"), "{trouble}");
    assert!(
        known
            .iter()
            .all(|known| known.trouble.is_none() == (known.name != broken))
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_cannot_take_the_id_of_a_tick() {
    let test = Harness::new(Ticking).await;
    define_report(&test, "@every 1h", Missed::All).await;
    let schedules = test.app.client().schedules().await.unwrap();
    let due = schedules.iter().find(|it| it.name == "report-eu").unwrap();
    let tick = due.next_at.unwrap();
    for (id, refused) in [
        (format!("report-eu@{tick}"), None),
        (format!("report-eu~tick-{tick}"), Some(ErrorKind::Invalid)),
    ] {
        let taken = test.app.start(every_ten_seconds(tick).id(id)).await;
        assert_eq!(taken.err().map(|error| error.kind()), refused);
    }
    let ticked = wait_for(&test, "report", 1).await;
    assert_eq!(ticked[0], format!("report-eu~tick-{tick}"));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_schedule_is_refused_and_leaves_nothing_behind() {
    let test = Harness::new(Ticking).await;
    let client = test.app.client();
    let define = |spec| {
        let spec = ScheduleSpec::new("report-eu", spec);
        test.app.define_schedule(spec, |at| report(at, "eu".into()))
    };
    let long = ScheduleSpec::new("a".repeat(191), "@every 1h");
    let error = test
        .app
        .define_schedule(long, |at| report(at, "eu".into()))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("at most 190"), "{error}");
    for wrong in [
        "61 * * * *",
        "@every 1ms",
        "tomorrow",
        "0 0 31 2 *",
        "0 0 0 1 1 * 2020",
    ] {
        let error = define(wrong).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains(wrong), "{error}");
    }
    let spec = ScheduleSpec::new("report-eu", "@every 1h");
    let error = test
        .app
        .define_schedule(spec, |_| {
            report("2001-01-01T03:00:00Z".parse().unwrap(), "eu".into())
        })
        .await
        .unwrap_err();
    assert!(error.to_string().contains("is not the tick"), "{error}");

    let hourly = ScheduleSpec::new("hourly", "@every 2h");
    let error = test
        .app
        .define_schedule(hourly, hourly_at)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    let error = client
        .pause_schedule("nothing", "ann", "")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    let (from, to) = (Timestamp::UNIX_EPOCH, client.now());
    let error = client
        .backfill_schedule("hourly", from, to)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("more than 10000 times"),
        "{error}"
    );
    let names: Vec<_> = client
        .schedules()
        .await
        .unwrap()
        .into_iter()
        .map(|s| s.name)
        .collect();
    assert_eq!(names, ["every_ten_seconds", "hourly"]);
}

fn hourly_at(at: Timestamp) -> stepwell::Call<hourly> {
    hourly(at)
}
