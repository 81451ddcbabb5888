//! Dead letters are tried again: from the start, from where they failed, many at a limited rate.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use stepwell::{
    Client, Ctx, ErrorKind, Failure, Payload, Queue, State, Timestamp,
    redrive::{PROGRESS, REDRIVE, Redrive, RedriveFrom, Redriven, redrive},
    store::{Filter, Rate},
    testing::Harness,
    workflow,
};

static LINE: Queue = Queue::new("redrive-line");

/// What a step did, and whether the shop is open.
#[derive(stepwell::State, Default)]
struct Shop {
    runs: Mutex<BTreeMap<String, u32>>,
    is_open: AtomicBool,
    is_new_code: AtomicBool,
    failures: AtomicU32,
}

impl Shop {
    fn run(&self, what: &str) {
        *self
            .runs
            .lock()
            .unwrap()
            .entry(what.to_owned())
            .or_default() += 1;
    }

    fn runs(&self, what: &str) -> u32 {
        self.runs.lock().unwrap().get(what).copied().unwrap_or(0)
    }

    fn open(&self) {
        self.is_open.store(true, SeqCst);
    }

    async fn ship_after_a_minute(&self) -> stepwell::Result<u32> {
        tokio::time::sleep(Duration::from_secs(60)).await;
        self.ship()
    }

    fn ship(&self) -> stepwell::Result<u32> {
        self.run("ship");
        if self.is_open.load(SeqCst) {
            return Ok(1);
        }
        self.failures.fetch_add(1, SeqCst);
        Err(Failure::msg("closed"))
    }
}

#[workflow]
async fn fulfil(ctx: &mut Ctx<Shop>, order: u32) -> stepwell::Result<u32> {
    let shop = ctx.state();
    let work = |what: &'static str| {
        let shop = Arc::clone(&shop);
        stepwell::step(what, move || {
            let shop = Arc::clone(&shop);
            async move {
                shop.run(what);
                Ok::<u32, Failure>(1)
            }
        })
    };
    let ship = stepwell::step("ship", || {
        let shop = Arc::clone(&shop);
        async move { shop.ship() }
    });
    ctx.run(work("charge")).await?;
    let (packed, shipped, told) = ctx.join((work("pack"), ship, work("tell"))).await;
    Ok(order + packed? + shipped? + told?)
}

async fn fails(test: &Harness<Shop>, id: &str) {
    let call = fulfil(1).id(id).queue(&LINE);
    let handle = test.app.start(call).await.unwrap();
    handle.result().await.unwrap_err();
}

async fn state(client: &Client, id: &str) -> State {
    client.get(id).await.unwrap().unwrap().state
}

#[tokio::test(start_paused = true)]
async fn from_the_failed_step_what_succeeded_is_kept() {
    let test = Harness::new(Shop::default()).await;
    let (client, shop) = (test.app.client(), test.app.state());
    fails(&test, "order").await;
    shop.open();

    let again = client.redrive("order", RedriveFrom::FailedStep).await;
    assert_eq!(again.as_deref(), Ok("order~2"));
    let result = test.app.handle::<fulfil>("order~2").result().await;
    assert_eq!(result.unwrap(), 4);
    let runs = ["charge", "pack", "ship", "tell"].map(|what| shop.runs(what));
    assert_eq!(runs, [1, 1, 2, 1], "what had succeeded ran again");
    let second = client.get("order~2").await.unwrap().unwrap();
    assert_eq!(second.queue.as_deref(), Some("redrive-line"));
    // The first keeps its result, and nobody need look at it.
    let first = client.get("order").await.unwrap().unwrap();
    assert_eq!(first.state, State::Failed);
    assert_eq!(first.acknowledged.unwrap().note, "redriven as order~2");
    assert_eq!(client.dead_letters().await.unwrap(), []);
}

/// What was tried again for a workflow that was deleted is no second try of a later one of its id.
#[tokio::test(start_paused = true)]
async fn a_later_letter_of_the_same_id_is_tried_again() {
    let test = Harness::new(Shop::default()).await;
    let client = test.app.client();
    for second in ["order~2", "order~3"] {
        fails(&test, "order").await;
        for _ in 0..2 {
            let again = client.redrive("order", RedriveFrom::Start).await.unwrap();
            assert_eq!(again, second);
        }
        let tried = test.app.handle::<fulfil>(second).result().await;
        tried.unwrap_err();
        client.delete("order").await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_letter_is_tried_once_and_its_second_try_again() {
    let test = Harness::new(Shop::default()).await;
    let client = test.app.client();
    fails(&test, "order").await;
    for _ in 0..2 {
        let again = client.redrive("order", RedriveFrom::Start).await.unwrap();
        assert_eq!(again, "order~2");
    }
    let second = test.app.handle::<fulfil>("order~2").result().await;
    second.unwrap_err();
    let third = client.redrive("order~2", RedriveFrom::Start).await.unwrap();
    assert_eq!(third, "order~3");
}

#[tokio::test(start_paused = true)]
async fn a_letter_is_tried_with_other_arguments() {
    let test = Harness::new(Shop::default()).await;
    let client = test.app.client();
    fails(&test, "order").await;
    test.app.state().open();
    let input = Payload::of(&(40,), 100).unwrap();
    let again = client.redrive_with_input("order", input).await.unwrap();
    let result = test.app.handle::<fulfil>(&again).result().await;
    assert_eq!(result.unwrap(), 43);
    assert_eq!(test.app.state().runs("charge"), 2);

    let no_array = Payload::of(&40, 100).unwrap();
    let refused = client
        .redrive_with_input("order", no_array)
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
}

#[tokio::test(start_paused = true)]
async fn only_a_dead_letter_is_tried_again() {
    let test = Harness::new(Shop::default()).await;
    let client = test.app.client();
    test.app.state().open();
    test.app.run(fulfil(1).id("fine")).await.unwrap();
    let of_success = client
        .redrive("fine", RedriveFrom::Start)
        .await
        .unwrap_err();
    assert_eq!(of_success.kind(), ErrorKind::Conflict, "{of_success}");
    let of_nothing = client
        .redrive("nobody", RedriveFrom::Start)
        .await
        .unwrap_err();
    assert_eq!(of_nothing.kind(), ErrorKind::NotFound);
    assert!(client.get("fine~2").await.unwrap().is_none());
}

/// Changes between two runs, so that its first one is stuck.
#[workflow]
async fn changes(ctx: &mut Ctx<Shop>) -> stepwell::Result<u32> {
    let shop = ctx.state();
    if shop.is_new_code.load(SeqCst) {
        ctx.step("renamed", async || Ok(1)).await?;
    } else {
        ctx.step("first", async || Ok(1)).await?;
    }
    ctx.run(stepwell::sleep(Duration::from_secs(5))).await;
    Ok(7)
}

async fn stuck(test: &Harness<Shop>, id: &str) {
    test.app.state().is_new_code.store(false, SeqCst);
    test.app.start(changes().id(id)).await.unwrap();
    test.recorded(id, 1).await.unwrap();
    test.app.state().is_new_code.store(true, SeqCst);
    test.crash().await;
    test.app.client().wait(id).await.unwrap();
    assert_eq!(state(test.app.client(), id).await, State::Stuck);
}

#[tokio::test(start_paused = true)]
async fn what_is_stuck_goes_on_or_is_started_anew() {
    let test = Harness::new(Shop::default()).await;
    let client = test.app.client();
    stuck(&test, "a").await;
    stuck(&test, "b").await;

    let anew = client.redrive("a", RedriveFrom::Start).await.unwrap();
    assert_eq!(anew, "a~2");
    assert_eq!(test.app.handle::<changes>("a~2").result().await.unwrap(), 7);
    let first = client.get("a").await.unwrap().unwrap();
    assert_eq!(first.state, State::Cancelled);
    assert_eq!(first.reason.as_deref(), Some("it was started anew"));

    test.app.state().is_new_code.store(false, SeqCst);
    let on = client.redrive("b", RedriveFrom::FailedStep).await.unwrap();
    assert_eq!(on, "b");
    assert_eq!(test.app.handle::<changes>("b").result().await.unwrap(), 7);
}

fn slowly(from: RedriveFrom) -> Redrive {
    Redrive {
        rate: Rate {
            starts: 10,
            period_ms: 1_000,
        },
        ..Redrive::of("fulfil", from)
    }
}

async fn many_fail(test: &Harness<Shop>, count: u32) {
    let calls = (0..count).map(|number| fulfil(number).id(format!("order-{number}")).queue(&LINE));
    let started = test.app.start_all(calls.collect::<Vec<_>>()).await;
    for start in started {
        start.unwrap().0.result().await.unwrap_err();
    }
}

/// All were tried again, each once, and no more than ten in a second.
async fn held_the_rate(client: &Client, count: u32) {
    let filter = Filter {
        attribute: Some((REDRIVE.to_owned(), "job".to_owned())),
        limit: 1_000,
        ..Filter::default()
    };
    let tried = client.list(filter).await.unwrap();
    assert_eq!(tried.len(), count as usize);
    let mut at: Vec<Timestamp> = tried.iter().map(|again| again.created_at).collect();
    at.sort();
    for window in at.windows(11) {
        let within = window[10].duration_since(window[0]);
        // A page of two is started at once.
        assert!(within.as_millis() >= 800, "eleven in {within:#}");
    }
}

#[tokio::test(start_paused = true)]
async fn many_are_tried_again_at_their_rate() {
    let test = Harness::new(Shop::default()).await;
    let client = test.app.client();
    many_fail(&test, 35).await;
    test.app.state().open();
    client
        .redrive_all("job", &slowly(RedriveFrom::FailedStep))
        .await
        .unwrap();
    let done = test.app.handle::<redrive>("job").result().await.unwrap();
    let expected = Redriven {
        redriven: 35,
        ..Redriven::default()
    };
    assert_eq!(done, expected);
    let progress = client.events("job").await.unwrap();
    assert_eq!(progress[0].name, PROGRESS.name());
    assert_eq!(progress[0].value.read::<Redriven>().unwrap(), expected);
    for number in 0..35 {
        let handle = test.app.handle::<fulfil>(format!("order-{number}~2"));
        assert_eq!(handle.result().await.unwrap(), number + 3);
    }
    held_the_rate(client, 35).await;
    assert_eq!(test.app.state().runs("charge"), 35, "a good step ran again");
    assert_eq!(client.dead_letters().await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_redrive_is_stopped_and_resumed_across_a_crash() {
    let test = Harness::new(Shop::default()).await;
    let client = test.app.client().clone();
    many_fail(&test, 40).await;
    test.app.state().open();
    client
        .redrive_all("job", &slowly(RedriveFrom::FailedStep))
        .await
        .unwrap();
    test.recorded("job", 20).await.unwrap();
    client.cancel("job").await.unwrap();
    client.wait("job").await.unwrap();
    let left = async || client.list(unacknowledged()).await.unwrap().len();
    let stopped_with = left().await;
    assert!((1..40).contains(&stopped_with), "{stopped_with}");
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(left().await, stopped_with, "it was not stopped");

    client.resume("job").await.unwrap();
    test.recorded("job", 50).await.unwrap();
    test.crash_for(Duration::from_secs(30)).await;
    let done = test.app.handle::<redrive>("job").result().await.unwrap();
    assert_eq!((done.redriven, done.skipped, done.stopped), (40, 0, None));
    for number in 0..40 {
        let handle = test.app.handle::<fulfil>(format!("order-{number}~2"));
        assert_eq!(handle.result().await.unwrap(), number + 3);
    }
    held_the_rate(&client, 40).await;
    assert_eq!(test.app.state().runs("charge"), 40, "a good step ran again");
}

fn unacknowledged() -> Filter {
    Filter {
        unacknowledged: true,
        limit: 1_000,
        ..Filter::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_redrive_stops_when_too_many_fail_again() {
    let test = Harness::new(Shop::default()).await;
    many_fail(&test, 40).await;
    let job = Redrive {
        failures_max: Some(5),
        ..slowly(RedriveFrom::FailedStep)
    };
    test.app.client().redrive_all("job", &job).await.unwrap();
    let done = test.app.handle::<redrive>("job").result().await.unwrap();
    let why = done.stopped.unwrap();
    assert!(why.contains("more than 5 of the"), "{why}");
    assert_eq!(done.failed_again, 6);
    assert!(done.redriven < 12, "{}", done.redriven);
}

/// The failures of a redrive that was deleted are none of a later one of its id.
#[tokio::test(start_paused = true)]
async fn a_later_redrive_of_the_same_id_counts_its_own_failures() {
    let test = Harness::new(Shop::default()).await;
    let client = test.app.client();
    let job = Redrive {
        failures_max: Some(0),
        letters_max: Some(1),
        ..slowly(RedriveFrom::Start)
    };
    for letter in ["order", "parcel"] {
        fails(&test, letter).await;
        client.redrive_all("job", &job).await.unwrap();
        let done = test.app.handle::<redrive>("job").result().await.unwrap();
        assert_eq!(done.redriven, 1, "{done:?}");
        client.delete("job").await.unwrap();
        let again = test.app.handle::<fulfil>(format!("{letter}~2"));
        again.result().await.unwrap_err();
        let seen = format!("{letter}~2");
        client.acknowledge(&seen, "seen").await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_redrive_tries_as_many_as_it_was_asked_for() {
    let test = Harness::new(Shop::default()).await;
    many_fail(&test, 10).await;
    test.app.state().open();
    let job = Redrive {
        letters_max: Some(3),
        ..slowly(RedriveFrom::Start)
    };
    let client = test.app.client();
    client.redrive_all("job", &job).await.unwrap();
    let done = test.app.handle::<redrive>("job").result().await.unwrap();
    assert_eq!(done.redriven, 3);
    assert_eq!(client.list(unacknowledged()).await.unwrap().len(), 7);

    let everything = Redrive { name: None, ..job };
    let refused = client.redrive_all("other", &everything).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    assert!(client.get("other").await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn what_rests_is_deleted_and_its_id_is_free() {
    let test = Harness::new(Shop::default()).await;
    let client = test.app.client();
    fails(&test, "order").await;
    stuck(&test, "stuck").await;
    for id in ["order", "stuck"] {
        client.delete(id).await.unwrap();
        assert!(client.get(id).await.unwrap().is_none());
        let twice = client.delete(id).await.unwrap_err();
        assert_eq!(twice.kind(), ErrorKind::NotFound);
    }
    test.app.state().open();
    assert_eq!(test.app.run(fulfil(1).id("order")).await.unwrap(), 4);

    test.app.state().is_new_code.store(false, SeqCst);
    test.app.start(changes().id("runs")).await.unwrap();
    let refused = client.delete("runs").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused}");
}

#[workflow]
async fn waits_for_changes(ctx: &mut Ctx<Shop>) -> stepwell::Result<u32> {
    Ok(ctx.run(changes().id("child")).await?)
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_what_was_deleted_is_stuck() {
    let test = Harness::new(Shop::default()).await;
    let client = test.app.client();
    test.app
        .start(waits_for_changes().id("parent"))
        .await
        .unwrap();
    while client.get("child").await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    test.recorded("child", 1).await.unwrap();
    test.app.state().is_new_code.store(true, SeqCst);
    test.crash().await;
    client.wait("child").await.unwrap();
    client.delete("child").await.unwrap();
    let ended = client.wait("parent").await.unwrap();
    assert_eq!(ended.state, State::Stuck);
    let reason = ended.reason.unwrap();
    assert!(reason.contains("`child`, which was deleted"), "{reason}");
    client.cancel("parent").await.unwrap();
    assert_eq!(state(client, "parent").await, State::Cancelled);
}

/// Two members of a join: one fails for want of an open shop when the other has got over its failure.
#[workflow]
async fn side_by_side(ctx: &mut Ctx<Shop>) -> stepwell::Result<u32> {
    let shop = ctx.state();
    let ship = || shop.ship_after_a_minute();
    let pack = async || {
        shop.run("pack");
        Err::<u32, _>(Failure::msg("no box"))
    };
    let wrap = async || {
        shop.run("wrap");
        Ok(2)
    };
    let packed = stepwell::branch(
        async |mut ctx: Ctx<Shop>| match ctx.step("pack", pack).await {
            Ok(packed) => Ok(packed),
            Err(_) => ctx.step("wrap", wrap).await,
        },
    );
    let (shipped, packed) = ctx.join((stepwell::step("ship", ship), packed)).await;
    Ok(shipped? + packed?)
}

#[tokio::test(start_paused = true)]
async fn what_got_over_its_failure_beside_the_step_that_failed_last_is_kept() {
    let test = Harness::new(Shop::default()).await;
    let handle = test.app.start(side_by_side().id("order")).await.unwrap();
    handle.result().await.unwrap_err();
    test.app.state().open();
    let again = test.app.client().redrive("order", RedriveFrom::FailedStep);
    let again = test.app.handle::<side_by_side>(again.await.unwrap());
    assert_eq!(again.result().await.unwrap(), 3);
    let runs = ["ship", "pack", "wrap"].map(|step| test.app.state().runs(step));
    assert_eq!(runs, [2, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_fork_onto_the_id_of_another_workflow_is_a_conflict() {
    let test = Harness::new(Shop::default()).await;
    for id in ["order", "other"] {
        let handle = test.app.start(side_by_side().id(id)).await.unwrap();
        handle.result().await.unwrap_err();
    }
    let client = test.app.client();
    let from = stepwell::Position::top(0);
    let error = client
        .fork("order", "other", from.clone())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    for _ in 0..2 {
        client.fork("order", "fork", from.clone()).await.unwrap();
    }
    let error = client.fork("order", "fork", stepwell::Position::top(1));
    assert_eq!(error.await.unwrap_err().kind(), ErrorKind::Conflict);
}
