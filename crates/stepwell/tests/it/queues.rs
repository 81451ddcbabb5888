//! Queues: who is next, how much at once, how often, and how many wait.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use stepwell::{
    App, Call, Ctx, ErrorKind, Queue, State, store::Filter, testing::Harness, workflow,
};

/// Notes in which order workflows ran.
#[derive(Default)]
struct Log(Mutex<Vec<(String, i64)>>);

impl Log {
    fn lines(&self) -> std::sync::MutexGuard<'_, Vec<(String, i64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ids(&self) -> Vec<String> {
        self.lines().iter().map(|(id, _)| id.clone()).collect()
    }
}

#[workflow]
async fn note(ctx: &mut Ctx<Log>) -> stepwell::Result<()> {
    let now = ctx.now().await.as_second();
    ctx.state().lines().push((ctx.id().to_owned(), now));
    ctx.sleep(Duration::from_secs(1)).await;
    Ok(())
}

/// Starts all at once and waits until all have ended.
async fn run_all(test: &Harness<Log>, calls: impl IntoIterator<Item = Call<note>>) {
    let mut handles = Vec::new();
    for call in calls {
        handles.push(test.app.start(call).await.unwrap());
    }
    for handle in handles {
        handle.result().await.unwrap();
    }
}

static ONE: Queue = Queue::new("one").concurrency(1);

#[tokio::test(start_paused = true)]
async fn the_most_urgent_is_next() {
    let test = Harness::new(Log::default()).await;
    let call = |id: &str, priority| note().id(id).queue(&ONE).priority(priority);
    let calls = [
        call("first", 0),
        call("low", -5),
        call("plain", 0),
        call("high", 5),
    ];
    run_all(&test, calls).await;
    let ids = test.app.state().ids();
    // The first one may have begun before the others were there.
    let behind_first: Vec<_> = ids.iter().filter(|id| *id != "first").collect();
    assert_eq!(behind_first, ["high", "plain", "low"]);
}

#[tokio::test(start_paused = true)]
async fn keys_take_turns() {
    let test = Harness::new(Log::default()).await;
    let call = |key: &str, number| {
        let id = format!("{key}-{number}");
        note().id(id).queue(&ONE).queue_key(key)
    };
    let ann = (0..6).map(|number| call("ann", number));
    let bob = (0..2).map(|number| call("bob", number));
    run_all(&test, ann.chain(bob)).await;
    let ids = test.app.state().ids();
    let place = |id: &str| ids.iter().position(|it| it == id).unwrap();
    assert!(place("bob-1") < place("ann-3"), "{ids:?}");
}

static FIVE_A_MINUTE: Queue = Queue::new("five-a-minute").rate(5, Duration::from_secs(60));

#[tokio::test(start_paused = true)]
async fn a_rate_holds_in_every_period() {
    let test = Harness::new(Log::default()).await;
    run_all(&test, (0..17).map(|_| note().queue(&FIVE_A_MINUTE))).await;
    let times: Vec<_> = test.app.state().lines().iter().map(|(_, at)| *at).collect();
    for six in times.windows(6) {
        assert!(
            six[5] - six[0] >= 60,
            "six in less than a minute: {times:?}"
        );
    }
    assert!(
        times[16] - times[0] < 190,
        "slower than it must be: {times:?}"
    );
}

static BOUNDED: Queue = Queue::new("bounded").concurrency(1).waiting_max(2);

#[workflow]
async fn fan_out(ctx: &mut Ctx<Log>) -> stepwell::Result<usize> {
    let children = (0..5).map(|_| note().queue(&BOUNDED));
    let ended = ctx.join_all(children).await;
    Ok(ended.into_iter().filter(Result::is_ok).count())
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_a_start_and_nothing_else() {
    let test = Harness::new(Log::default()).await;
    test.app
        .run(note().id("ends").queue(&BOUNDED))
        .await
        .unwrap();
    test.app
        .client()
        .pause_queue("bounded", "ann", "")
        .await
        .unwrap();
    for id in ["a", "b"] {
        test.app.start(note().id(id).queue(&BOUNDED)).await.unwrap();
    }
    let error = test
        .app
        .start(note().id("c").queue(&BOUNDED))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
    assert!(
        error.to_string().contains("2 workflows wait in its queue"),
        "{error}"
    );
    assert!(
        test.app.client().get("c").await.unwrap().is_none(),
        "something was left behind"
    );
    // What is there is found, and what ends is no matter.
    test.app
        .start(note().id("a").queue(&BOUNDED))
        .await
        .unwrap();
    test.app
        .start(note().id("ends").queue(&BOUNDED))
        .await
        .unwrap();
    // A parent's children are let in, or nothing would ever go on.
    let parent = test.app.start(fan_out().id("parent")).await.unwrap();
    test.app.client().resume_queue("bounded").await.unwrap();
    assert_eq!(parent.result().await.unwrap(), 5);
}

#[tokio::test(start_paused = true)]
async fn what_a_queue_cannot_do_is_refused() {
    static TOO_LONG: Queue = Queue::new("slow").rate(1, Duration::from_secs(40 * 24 * 60 * 60));
    static NO_PERIOD: Queue = Queue::new("fast").rate(1, Duration::ZERO);
    let test = Harness::with(App::builder("queues").state(Log::default())).await;
    let refusals = [
        (
            note().queue(&ONE).priority(1_000_001),
            "the priority 1000001 is out of bounds",
        ),
        (note().queue(&ONE).queue_key("a\nb"), "control character"),
        (note().queue_key("ann"), "but no queue"),
        (note().priority(3), "but no queue"),
        (note().queue(&TOO_LONG), "give one from 1 ms to 31 days"),
        (note().queue(&NO_PERIOD), "the period of 0 ms"),
    ];
    for (call, reason) in refusals {
        let error = test.app.start(call).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(reason), "{error}");
    }
    let left = test.app.client().list(Filter::default()).await.unwrap();
    assert!(left.is_empty());
    assert!(test.app.client().queues().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_delayed_start_comes_into_a_full_queue() {
    let test = Harness::new(Log::default()).await;
    test.app.run(note().queue(&BOUNDED)).await.unwrap();
    test.app
        .client()
        .pause_queue("bounded", "ann", "")
        .await
        .unwrap();
    for id in ["a", "b"] {
        test.app.start(note().id(id).queue(&BOUNDED)).await.unwrap();
    }
    let later = note()
        .id("later")
        .queue(&BOUNDED)
        .delay(Duration::from_secs(5));
    test.app.start(later).await.unwrap();
    let state = test.app.client().get("later").await.unwrap().unwrap().state;
    assert_eq!(state, State::Delayed);
}
