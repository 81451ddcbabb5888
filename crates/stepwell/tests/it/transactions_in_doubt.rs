//! Transactions that cannot run twice: whoever runs one again fails on what the first run has done. That
//! failure does not count, in whatever order the two come to their ends.

use std::{
    sync::atomic::{AtomicU32, Ordering::SeqCst},
    time::Duration,
};

use stepwell::{Committed, Ctx, Topic, WorkflowError, bail, testing::Harness, workflow};

use crate::bank::{Accounts, AccountsTx, Fate};

const GO: Topic<u32> = Topic::new("go");

#[derive(stepwell::State, Default)]
struct Shop {
    #[provide]
    accounts: Accounts,
    runs: AtomicU32,
}

/// Succeeds in its first run, and in no other.
#[workflow]
async fn place(ctx: &mut Ctx<Shop>) -> stepwell::Result<u64> {
    let shop = ctx.state();
    let placed = ctx.tx("place", async |mut tx: AccountsTx| {
        if shop.runs.fetch_add(1, SeqCst) > 0 {
            bail!("the version has moved on");
        }
        tx.rows.insert("order".to_owned(), 1);
        Ok(7)
    });
    let placed = placed.await?;
    ctx.recv(GO).await;
    Ok(placed)
}

/// Panics in every run but the first.
#[workflow]
async fn place_or_panic(ctx: &mut Ctx<Shop>) -> stepwell::Result<u64> {
    let shop = ctx.state();
    ctx.tx("place", async |mut tx: AccountsTx| {
        assert_eq!(shop.runs.fetch_add(1, SeqCst), 0, "there is an order");
        tx.rows.insert("order".to_owned(), 1);
        Ok(7)
    })
    .await
}

/// Is never good for anything.
#[workflow]
async fn declined(ctx: &mut Ctx<Shop>) -> stepwell::Result<()> {
    let shop = ctx.state();
    ctx.recv(GO).await;
    let declined = ctx.tx("decline", async |mut tx: AccountsTx| {
        shop.runs.fetch_add(1, SeqCst);
        tx.rows.insert("order".to_owned(), 1);
        bail!("declined");
    });
    declined.await
}

async fn runs(test: &Harness<Shop>, count: u32) {
    while test.app.state().runs.load(SeqCst) < count {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The clock skips when everything waits.
async fn all_wait() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_lost_its_answer_counts_and_not_the_failure_behind_it() {
    let test = Harness::new(Shop::default()).await;
    let accounts = &test.app.state().accounts;
    accounts.next_commit_is(Fate::SlowAndUnanswered);
    let handle = test.app.start(place().id("p")).await.unwrap();
    handle.send(GO, 0).await.unwrap();
    // The witness cannot be seen yet: the code runs again, fails, and waits for it.
    runs(&test, 2).await;
    all_wait().await;
    accounts.let_commits_happen();
    assert_eq!(handle.result().await.unwrap(), 7);
    assert_eq!(accounts.balance("order"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_lost_its_answer_counts_and_not_the_panic_behind_it() {
    let test = Harness::new(Shop::default()).await;
    let accounts = &test.app.state().accounts;
    accounts.next_commit_is(Fate::SlowAndUnanswered);
    let handle = test.app.start(place_or_panic()).await.unwrap();
    runs(&test, 2).await;
    all_wait().await;
    accounts.let_commits_happen();
    assert_eq!(handle.result().await.unwrap(), 7);
}

/// The process is gone, but its database goes on with what it was sent.
#[tokio::test(start_paused = true)]
async fn a_commit_on_its_way_counts_and_not_the_failure_after_a_crash() {
    let test = Harness::new(Shop::default()).await;
    let accounts = &test.app.state().accounts;
    accounts.next_commit_is(Fate::Slow);
    let handle = test.app.start(place().id("p")).await.unwrap();
    handle.send(GO, 0).await.unwrap();
    accounts.have_sent(1).await;
    test.crash().await;
    runs(&test, 2).await;
    all_wait().await;
    accounts.let_commits_happen();
    assert_eq!(handle.result().await.unwrap(), 7);
    assert_eq!(accounts.balance("order"), 1);
}

/// A commit that has happened is found before the code runs.
#[tokio::test(start_paused = true)]
async fn what_cannot_run_twice_does_not_after_a_crash() {
    let test = Harness::new(Shop::default()).await;
    let handle = test.app.start(place().id("p")).await.unwrap();
    while test.app.state().accounts.balance("order") == 0 {
        tokio::task::yield_now().await;
    }
    test.crash().await;
    handle.send(GO, 0).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), 7);
    assert_eq!(test.app.state().runs.load(SeqCst), 1);
}

/// A run in a process that has lost its workflows may come to its commit at any time: once a failure
/// counts, that commit comes too late.
#[tokio::test(start_paused = true)]
async fn a_failure_that_counts_keeps_a_late_commit_out() {
    let test = Harness::new(Shop::default()).await;
    let accounts = &test.app.state().accounts;
    let handle = test.app.start(declined().id("d")).await.unwrap();
    test.crash().await;
    handle.send(GO, 0).await.unwrap();
    let Err(WorkflowError::Failed(error)) = handle.result().await else {
        panic!("it has not failed");
    };
    assert_eq!(error.to_string(), "declined");
    let operation = accounts
        .operations()
        .pop()
        .expect("the failure has left a witness");
    let late = accounts.commit_late(operation, "order").await;
    assert!(matches!(late, Committed::Before(_)), "{late:?}");
    assert_eq!(accounts.balance("order"), 0);
}

/// Without doubt a failure costs no more than it did.
#[tokio::test(start_paused = true)]
async fn a_failure_of_a_first_run_leaves_no_witness() {
    let test = Harness::new(Shop::default()).await;
    let handle = test.app.start(declined().id("d")).await.unwrap();
    handle.send(GO, 0).await.unwrap();
    handle.result().await.unwrap_err();
    assert_eq!(test.app.state().accounts.witnesses(), 0);
}

#[workflow]
async fn renamed(ctx: &mut Ctx<Shop>) -> stepwell::Result<u64> {
    let shop = ctx.state();
    let name = match shop.runs.fetch_add(1, SeqCst) {
        0 => "charge",
        _ => "bill",
    };
    let charged = ctx.tx(name, async |mut tx: AccountsTx| {
        tx.rows.insert("order".to_owned(), 1);
        Ok(7)
    });
    let charged = charged.await?;
    ctx.recv(GO).await;
    Ok(charged)
}

/// Replay checks the name of what has only left its witness, too.
#[tokio::test(start_paused = true)]
async fn a_witness_of_another_transaction_is_no_answer() {
    let test = Harness::new(Shop::default()).await;
    let handle = test.app.start(renamed().id("r")).await.unwrap();
    while test.app.state().accounts.balance("order") == 0 {
        tokio::task::yield_now().await;
    }
    test.crash().await;
    let ended = tokio::time::timeout(Duration::from_secs(10 * 60), handle.result());
    let Ok(Err(WorkflowError::Stuck(reason))) = ended.await else {
        panic!("it is not stuck");
    };
    assert!(
        reason.contains("`transaction charge` when it first ran"),
        "{reason}"
    );
    assert!(reason.contains("`transaction bill` now"), "{reason}");
}
