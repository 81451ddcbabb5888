//! Alerts: what is started when workflows do not do their work. Those about dead ones are in
//! `tests/crash`: it takes processes to die.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use stepwell::{
    App, AppBuilder, Ctx, ErrorKind, Failure, RepeatedFailures, State, Timestamp, step,
    store::Filter, testing::Harness, workflow,
};

const MINUTE: Duration = Duration::from_secs(60);

#[derive(stepwell::State, Default)]
struct Pager {
    #[provide]
    calls: Calls,
    is_new_code: AtomicBool,
}

#[derive(Default)]
struct Calls {
    told: Mutex<Vec<String>>,
    is_broken: AtomicBool,
}

#[step]
async fn ring(#[state] calls: &Calls, text: String) -> stepwell::Result<()> {
    if calls.is_broken.load(SeqCst) {
        stepwell::bail!("nobody answers");
    }
    calls.told.lock().unwrap().push(text);
    Ok(())
}

#[workflow]
async fn call_somebody(ctx: &mut Ctx<Pager>, text: String) -> stepwell::Result<()> {
    ctx.run(ring(text)).await
}

#[workflow]
async fn bill(_ctx: &mut Ctx<Pager>, customer: u32) -> stepwell::Result<()> {
    Err(Failure::msg(format!("card of {customer} declined")))
}

/// Waits for ever in a step, or is another workflow by now.
#[workflow]
async fn hangs(ctx: &mut Ctx<Pager>) -> stepwell::Result<()> {
    let name = match ctx.state().is_new_code.load(SeqCst) {
        true => "new",
        false => "old",
    };
    ctx.step(name, async || Ok::<(), Failure>(())).await?;
    let wait = stepwell::step("wait", std::future::pending::<stepwell::Result<()>>);
    ctx.run(wait).await
}

fn paging() -> AppBuilder<Pager> {
    App::builder("test")
        .state(Pager::default())
        .on_dead_letter(|letter| call_somebody(letter.to_string()))
}

fn counting() -> AppBuilder<Pager> {
    App::builder("test")
        .state(Pager::default())
        .on_repeated_failures(3, MINUTE, |failures| {
            call_somebody(format!("{} × {}", failures.count, failures.fingerprint))
        })
}

async fn bills(app: &App<Pager>, id: &str) {
    let handle = app.start(bill(7).id(id)).await.unwrap();
    handle.result().await.unwrap_err();
}

/// What somebody was told, once all alerts have ended.
async fn told(app: &App<Pager>) -> Vec<String> {
    for alert in alerts(app).await {
        app.client().wait(&alert).await.unwrap();
    }
    app.state().calls.told.lock().unwrap().clone()
}

async fn alerts(app: &App<Pager>) -> Vec<String> {
    let filter = Filter {
        name: Some("call_somebody".to_owned()),
        ..Filter::default()
    };
    let alerts = app.client().list(filter).await.unwrap();
    alerts.iter().map(|it| it.id.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_failure_starts_its_alert_in_the_same_commit() {
    let test = Harness::with(paging()).await;
    bills(&test.app, "bill-1").await;
    // It is there as soon as the end is.
    assert_eq!(alerts(&test.app).await.len(), 1);
    let says = "bill `bill-1` has failed: Failure: card of  declined";
    assert_eq!(told(&test.app).await, [says]);
    test.crash().await;
    tokio::time::sleep(MINUTE).await;
    assert_eq!(told(&test.app).await, [says]);
}

#[tokio::test(start_paused = true)]
async fn what_succeeds_or_is_cancelled_alerts_nobody() {
    let test = Harness::with(paging()).await;
    let app = &test.app;
    let fine = app.start(call_somebody("fine".to_owned()).id("fine")).await;
    fine.unwrap().result().await.unwrap();
    app.start(hangs().id("hangs")).await.unwrap();
    test.recorded("hangs", 1).await.unwrap();
    app.client().cancel("hangs").await.unwrap();
    app.client().wait("hangs").await.unwrap();
    tokio::time::sleep(MINUTE).await;
    assert_eq!(alerts(app).await, ["fine"]);
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_fails_alerts_nobody() {
    let test = Harness::with(paging()).await;
    test.app.state().calls.is_broken.store(true, SeqCst);
    bills(&test.app, "bill-1").await;
    let alert = alerts(&test.app).await.remove(0);
    let ended = test.app.client().wait(&alert).await.unwrap();
    assert_eq!(ended.state, State::Failed);
    tokio::time::sleep(MINUTE).await;
    assert_eq!(alerts(&test.app).await, [alert]);
}

#[tokio::test(start_paused = true)]
async fn what_gets_stuck_starts_its_alert() {
    let test = Harness::with(paging()).await;
    test.app.start(hangs().id("hangs")).await.unwrap();
    test.recorded("hangs", 1).await.unwrap();
    test.app.state().is_new_code.store(true, SeqCst);
    test.crash().await;
    test.app.client().wait("hangs").await.unwrap();
    let told = told(&test.app).await;
    let [said] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert!(
        said.starts_with("hangs `hangs` is stuck: workflow"),
        "{said}"
    );
}

#[tokio::test(start_paused = true)]
async fn one_alert_may_stand_for_many_letters() {
    let builder = App::builder("test")
        .state(Pager::default())
        .on_dead_letter(|letter| call_somebody(letter.name.clone()).id("bills fail"));
    let test = Harness::with(builder).await;
    for id in ["bill-1", "bill-2", "bill-3"] {
        bills(&test.app, id).await;
    }
    assert_eq!(told(&test.app).await, ["bill"]);
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_cannot_be_made_holds_up_nothing() {
    let builder = App::builder("test")
        .state(Pager::default())
        .on_dead_letter(|letter| call_somebody(letter.id.clone()).id(""))
        .on_dead_letter::<call_somebody>(|_| panic!("a bug"))
        .on_dead_letter(|letter| call_somebody(letter.id.clone()));
    let test = Harness::with(builder).await;
    bills(&test.app, "bill-1").await;
    assert_eq!(told(&test.app).await, ["bill-1"]);
}

/// The beginning of a minute, as windows are counted.
async fn at_a_minute(app: &App<Pager>) {
    let into = app.client().now().as_millisecond().rem_euclid(60_000);
    let left = u64::try_from(60_000 - into).unwrap();
    tokio::time::sleep(Duration::from_millis(left)).await;
}

#[tokio::test(start_paused = true)]
async fn failures_that_repeat_themselves_start_one_alert_in_a_window() {
    let test = Harness::with(counting()).await;
    let app = &test.app;
    at_a_minute(app).await;
    for number in 0..2 {
        bills(app, &format!("first-{number}")).await;
    }
    tokio::time::sleep(MINUTE + Duration::from_secs(1)).await;
    // Two are too old by now.
    for number in 0..2 {
        bills(app, &format!("second-{number}")).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(told(app).await, [""; 0]);
    for number in 2..5 {
        bills(app, &format!("second-{number}")).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let three = "3 × Failure: card of  declined";
    assert_eq!(told(app).await, [three]);
    at_a_minute(app).await;
    // With those of the minute before there are more than three.
    bills(app, "third").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(told(app).await.len(), 2);
}

/// One that counts as much in as long a time is another one, and so is one whose id is taken.
#[tokio::test(start_paused = true)]
async fn each_alert_about_repeated_failures_is_started() {
    let alert = |text: &'static str| move |_: &RepeatedFailures| call_somebody(text.to_owned());
    let builder = App::builder("test")
        .state(Pager::default())
        .on_repeated_failures(3, MINUTE, alert("one"))
        .on_repeated_failures(3, MINUTE, alert("two"))
        .on_repeated_failures(3, MINUTE, |_| call_somebody("three".to_owned()).id("taken"));
    let test = Harness::with(builder).await;
    let app = &test.app;
    app.run(call_somebody("other".to_owned()).id("taken"))
        .await
        .unwrap();
    at_a_minute(app).await;
    for number in 0..4 {
        bills(app, &format!("bill-{number}")).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let mut told = told(app).await;
    told.sort();
    assert_eq!(told, ["one", "other", "three", "two"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_acknowledged_does_not_count() {
    let test = Harness::with(counting()).await;
    let app = &test.app;
    at_a_minute(app).await;
    for number in 0..4 {
        let id = format!("bill-{number}");
        bills(app, &id).await;
        app.client().acknowledge(&id, "known").await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(told(app).await, [""; 0]);
}

#[tokio::test]
async fn alerts_that_count_nothing_are_refused() {
    for (count, within) in [(0, MINUTE), (1_001, MINUTE), (3, Duration::ZERO)] {
        let builder = App::builder("test").state(Pager::default());
        let builder = builder.on_repeated_failures(count, within, |_| call_somebody(String::new()));
        let error = builder
            .database("sqlite::memory:")
            .build()
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Setup, "{error}");
    }
}

#[tokio::test]
async fn failures_that_nobody_counted_are_counted_at_the_next_launch() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("alerts.db").display());
    let before = App::builder("test").state(Pager::default());
    let before = before.database(&url).launch().await.unwrap();
    for number in 0..3 {
        bills(&before, &format!("bill-{number}")).await;
    }
    before.shutdown().await;
    let after = counting().database(&url).launch().await.unwrap();
    let began = Timestamp::now();
    while alerts(&after).await.is_empty() {
        assert!(Timestamp::now().duration_since(began).as_secs() < 10);
        tokio::task::yield_now().await;
    }
    assert_eq!(told(&after).await, ["3 × Failure: card of  declined"]);
    after.shutdown().await;
}
