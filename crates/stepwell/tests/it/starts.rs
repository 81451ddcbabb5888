//! Starts of many workflows at once.

use stepwell::{App, Ctx, ErrorKind, Queue, StartOutcome, State, workflow};

static BOUNDED: Queue = Queue::new("bounded-starts").waiting_max(3);

#[workflow]
async fn one_of_many(_ctx: &mut Ctx, number: u32) -> stepwell::Result<u32> {
    Ok(number)
}

async fn app(name: &str) -> App {
    let builder = App::builder(name).database("sqlite::memory:");
    builder.build().await.unwrap()
}

#[tokio::test]
async fn each_start_of_many_has_an_outcome_of_its_own() {
    let app = app("many").await;
    app.launch().await.unwrap();
    let mut calls: Vec<_> = (0..2_500)
        .map(|number| one_of_many(number).id(format!("many-{number}")))
        .collect();
    calls[7] = one_of_many(7).id("");
    calls[1_500] = one_of_many(1_500).id("many-0");
    calls[2_499] = one_of_many(0).id("many-0");
    let started = app.start_all(calls).await;
    assert_eq!(started.len(), 2_500);
    for (number, started) in (0u32..).zip(started) {
        match (number, started) {
            (7, Err(error)) => assert_eq!(error.kind(), ErrorKind::Invalid),
            (1_500, Err(error)) => assert_eq!(error.kind(), ErrorKind::Conflict),
            (2_499, Ok((handle, outcome))) => {
                assert!(matches!(outcome, StartOutcome::Existing(_)));
                assert_eq!(handle.result().await.unwrap(), 0);
            }
            (number, Ok((handle, outcome))) => {
                assert_eq!(outcome, StartOutcome::New);
                assert_eq!(handle.result().await.unwrap(), number);
            }
            (number, Err(error)) => panic!("{number}: {error:?}"),
        }
    }
}

/// So whoever hands in the rest again keeps the order.
#[tokio::test]
async fn behind_the_first_that_finds_no_room_none_is_started() {
    let app = app("full").await;
    let call = |number: u32| {
        let call = one_of_many(number).id(format!("full-{number}"));
        call.queue(&BOUNDED)
    };
    let started = app.start_all((0..1_500).map(call)).await;
    let kinds = started
        .iter()
        .map(|started| started.as_ref().err().map(stepwell::Error::kind));
    let mut expected = vec![None; 3];
    expected.resize(1_500, Some(ErrorKind::Full));
    assert_eq!(kinds.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn what_is_left_to_anybody_is_not_run_by_whoever_started_it_first() {
    let app = app("anywhere").await;
    let (handle, _) = app
        .start_new(one_of_many(1).id("any").anywhere())
        .await
        .unwrap();
    assert_eq!(handle.status().await.unwrap(), State::Enqueued);
    app.launch().await.unwrap();
    assert_eq!(handle.result().await.unwrap(), 1);
}
