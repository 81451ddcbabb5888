//! Idempotency keys: of one step of one workflow, for ever.

use std::sync::Mutex;

use stepwell::{Attempt, Ctx, Failure, Retry, Topic, testing::Harness, workflow};

const GO: Topic<()> = Topic::new("go");

/// The keys that steps were handed.
#[derive(Default)]
struct Seen(Mutex<Vec<String>>);

impl Seen {
    fn keys(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// Waits for this many.
    async fn shown(&self, count: usize) {
        while self.keys().len() < count {
            tokio::task::yield_now().await;
        }
    }
}

#[workflow]
async fn keys(ctx: &mut Ctx<Seen>) -> stepwell::Result<(String, String)> {
    let key = |attempt: Attempt| async move {
        if attempt.number() == 1 {
            return Err(Failure::msg("once more"));
        }
        Ok(attempt.idempotency_key().to_owned())
    };
    let first = ctx.step_attempt("first", key).retry(Retry::times(2));
    let first = first.await?;
    let second = ctx.step_attempt("second", key).retry(Retry::times(2));
    Ok((first, second.await?))
}

/// Shows its key, and does not end.
#[workflow]
async fn hangs(ctx: &mut Ctx<Seen>) -> stepwell::Result<()> {
    let seen = ctx.state();
    ctx.step_attempt("hang", |attempt: Attempt| {
        let seen = std::sync::Arc::clone(&seen);
        async move {
            let key = attempt.idempotency_key().to_owned();
            seen.0.lock().unwrap().push(key);
            tokio::select! {
                () = attempt.cancelled() => Err(Failure::msg("cancelled")),
                () = std::future::pending() => Ok(()),
            }
        }
    })
    .await
}

#[workflow]
async fn shows(ctx: &mut Ctx<Seen>) -> stepwell::Result<()> {
    let seen = ctx.state();
    ctx.recv(GO).await;
    ctx.step_attempt("show", |attempt: Attempt| {
        let key = attempt.idempotency_key().to_owned();
        seen.0.lock().unwrap().push(key);
        async { Ok::<_, Failure>(()) }
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn every_step_has_an_idempotency_key_of_its_own() {
    let test = Harness::new(Seen::default()).await;
    let (first, second) = test.app.run(keys().id("k")).await.unwrap();
    let nonce = first
        .strip_prefix("k:")
        .and_then(|it| it.strip_suffix(":0"));
    assert_eq!(second, format!("k:{}:1", nonce.unwrap()));
}

/// Somebody deletes a workflow to have its work done again: no service may take that for a repetition.
#[tokio::test(start_paused = true)]
async fn a_later_workflow_of_the_same_id_has_other_keys() {
    let test = Harness::new(Seen::default()).await;
    for _ in 0..2 {
        let handle = test.app.start(shows().id("k")).await.unwrap();
        handle.send(GO, ()).await.unwrap();
        handle.result().await.unwrap();
        test.app.client().delete("k").await.unwrap();
    }
    let keys = test.app.state().keys();
    assert_ne!(keys[0], keys[1]);
}

#[tokio::test(start_paused = true)]
async fn a_key_outlives_crashes_and_a_resumption() {
    let test = Harness::new(Seen::default()).await;
    let seen = test.app.state();
    let handle = test.app.start(hangs().id("k")).await.unwrap();
    seen.shown(1).await;
    test.crash().await;
    seen.shown(2).await;
    handle.cancel().await.unwrap();
    test.app.client().resume("k").await.unwrap();
    seen.shown(3).await;
    let keys = seen.keys();
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
}

/// A fork is another workflow: what it runs anew is another request.
#[tokio::test(start_paused = true)]
async fn a_fork_has_other_keys() {
    let test = Harness::new(Seen::default()).await;
    let handle = test.app.start(shows().id("k")).await.unwrap();
    handle.send(GO, ()).await.unwrap();
    handle.result().await.unwrap();
    let client = test.app.client();
    // From behind the message, which it has received.
    client
        .fork("k", "f", stepwell::Position::top(1))
        .await
        .unwrap();
    test.app.handle::<shows>("f").result().await.unwrap();
    let keys = test.app.state().keys();
    assert!(keys[1].starts_with("f:"), "{keys:?}");
    assert_ne!(keys[0].split(':').nth(1), keys[1].split(':').nth(1));
}
