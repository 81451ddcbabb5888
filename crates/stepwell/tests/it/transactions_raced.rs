//! Transactions in races, against time limits, cancellations and the end of their process: whoever is
//! told that one did not happen is right.

use std::{
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    time::Duration,
};

use stepwell::{Ctx, State, Topic, recv, sleep, testing::Harness, transaction, workflow};
use tokio::sync::Notify;

use crate::bank::{Accounts, AccountsTx, Fate};

const GO: Topic<u32> = Topic::new("go");
const LIMIT: Duration = Duration::from_secs(60);

#[derive(stepwell::State, Default)]
struct Shop {
    #[provide]
    accounts: Accounts,
    #[provide]
    code: Code,
}

/// What the code of `thinks` waits for.
#[derive(Default)]
struct Code {
    go_on: Notify,
    thinks: AtomicBool,
}

#[transaction]
async fn put(tx: &mut AccountsTx, account: &str) -> stepwell::Result<u64> {
    tx.rows.insert(account.to_owned(), 1);
    Ok(1)
}

#[workflow]
async fn in_time(ctx: &mut Ctx<Shop>) -> stepwell::Result<Option<u64>> {
    let put = ctx.run(put("ann")).timeout(LIMIT).await;
    ctx.recv(GO).timeout(LIMIT).await;
    put.transpose()
}

/// As `in_time`, but the limit is looked at first.
#[workflow]
async fn limit_first(ctx: &mut Ctx<Shop>) -> stepwell::Result<Option<u64>> {
    stepwell::select!(ctx,
        () = sleep(LIMIT) => Ok(None),
        put = put("ann") => put.map(Some))
}

/// A time limit within a race.
#[workflow]
async fn nested(ctx: &mut Ctx<Shop>) -> stepwell::Result<Option<u64>> {
    let inner = stepwell::branch(async |mut ctx: Ctx<Shop>| {
        ctx.run(put("ann")).timeout(LIMIT).await.transpose()
    });
    stepwell::select!(ctx, put = inner => put, _ = recv(GO) => Ok(None))
}

#[workflow]
async fn either(ctx: &mut Ctx<Shop>) -> stepwell::Result<String> {
    let put: stepwell::Result<&str> = stepwell::select!(ctx,
        put = put("ann") => put.map(|_| "ann"),
        put = put("bob") => put.map(|_| "bob"));
    Ok(put?.to_owned())
}

/// Thinks until it is told to go on.
#[workflow]
async fn thinks(ctx: &mut Ctx<Shop>) -> stepwell::Result<Option<u64>> {
    let shop = ctx.state();
    let put = ctx.tx("think", async |mut tx: AccountsTx| {
        shop.code.thinks.store(true, SeqCst);
        shop.code.go_on.notified().await;
        tx.rows.insert("ann".to_owned(), 1);
        Ok(1)
    });
    put.timeout(LIMIT).await.transpose()
}

async fn shop() -> Harness<Shop> {
    Harness::new(Shop::default()).await
}

async fn begins_to_think(test: &Harness<Shop>) {
    while !test.app.state().code.thinks.load(SeqCst) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_was_sent_wins_over_the_time_limit() {
    let test = shop().await;
    let accounts = &test.app.state().accounts;
    accounts.next_commit_is(Fate::Slow);
    let handle = test.app.start(in_time()).await.unwrap();
    accounts.have_sent(1).await;
    tokio::time::sleep(LIMIT * 2).await;
    accounts.let_commits_happen();
    assert_eq!(handle.result().await.unwrap(), Some(1));
    assert_eq!(accounts.balance("ann"), 1);
}

/// Nobody knows what becomes of it: the time limit waits for the answer.
#[tokio::test(start_paused = true)]
async fn a_commit_whose_answer_is_lost_wins_over_the_time_limit() {
    let test = shop().await;
    let accounts = &test.app.state().accounts;
    accounts.next_commit_is(Fate::SlowAndUnanswered);
    let handle = test.app.start(in_time()).await.unwrap();
    accounts.have_sent(1).await;
    tokio::time::sleep(LIMIT * 2).await;
    accounts.let_commits_happen();
    assert_eq!(handle.result().await.unwrap(), Some(1));
    assert_eq!(accounts.balance("ann"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_was_not_sent_loses_and_leaves_nothing() {
    let test = shop().await;
    let handle = test.app.start(thinks()).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), None);
    let accounts = &test.app.state().accounts;
    assert_eq!((accounts.balance("ann"), accounts.witnesses()), (0, 0));
}

/// It was committed before the crash, and its record was lost. While the process was down the limit
/// has passed, and is looked at first.
#[tokio::test(start_paused = true)]
async fn what_was_committed_before_a_crash_wins_after_it() {
    let test = shop().await;
    let accounts = &test.app.state().accounts;
    accounts.next_commit_is(Fate::Slow);
    let handle = test.app.start(limit_first().id("t")).await.unwrap();
    accounts.have_sent(1).await;
    test.recorded("t", 1).await.unwrap();
    // The process dies with the answer on its way.
    let happens = async {
        tokio::time::sleep(LIMIT).await;
        accounts.let_commits_happen();
    };
    tokio::join!(test.crash_for(LIMIT * 3), happens);
    assert_eq!(handle.result().await.unwrap(), Some(1));
    assert_eq!(accounts.balance("ann"), 1);
}

/// The limit has passed and won: what a process that was silent for long commits later, is too late.
#[tokio::test(start_paused = true)]
async fn a_time_limit_that_won_keeps_a_late_commit_out() {
    let test = shop().await;
    let accounts = &test.app.state().accounts;
    let handle = test.app.start(thinks().id("t")).await.unwrap();
    begins_to_think(&test).await;
    test.crash_for(LIMIT * 2).await;
    assert_eq!(handle.result().await.unwrap(), None);
    let operation = accounts
        .operations()
        .pop()
        .expect("it has left that it lost");
    let late = accounts.commit_late(operation, "ann").await;
    assert!(matches!(late, stepwell::Committed::Before(_)), "{late:?}");
    assert_eq!(accounts.balance("ann"), 0);
}

#[tokio::test(start_paused = true)]
async fn of_two_transactions_that_race_one_is_committed() {
    let test = shop().await;
    let accounts = &test.app.state().accounts;
    accounts.next_commit_is(Fate::Slow);
    accounts.next_commit_is(Fate::Slow);
    let handle = test.app.start(either()).await.unwrap();
    accounts.have_sent(1).await;
    accounts.let_commits_happen();
    let winner = handle.result().await.unwrap();
    accounts.let_commits_happen();
    let both = ["ann", "bob"].map(|account| accounts.balance(account));
    let expected = ["ann", "bob"].map(|account| u64::from(account == winner));
    assert_eq!(both, expected);
}

#[tokio::test(start_paused = true)]
async fn a_time_limit_within_a_branch_waits_for_its_own_transaction() {
    let test = shop().await;
    let accounts = &test.app.state().accounts;
    accounts.next_commit_is(Fate::Slow);
    let handle = test.app.start(nested()).await.unwrap();
    accounts.have_sent(1).await;
    tokio::time::sleep(LIMIT * 2).await;
    accounts.let_commits_happen();
    assert_eq!(handle.result().await.unwrap(), Some(1));
}

/// Puts, and then waits for longer than it may.
#[workflow]
async fn branch_too_slow(ctx: &mut Ctx<Shop>) -> stepwell::Result<u64> {
    let slow = stepwell::branch(async |mut ctx: Ctx<Shop>| {
        ctx.run(put("ann")).await?;
        ctx.recv(GO).await;
        Ok::<_, stepwell::Failure>(())
    });
    let in_time = ctx.run(slow).timeout(LIMIT).await;
    assert!(in_time.is_none(), "the branch was in time");
    let looked = ctx.tx("look", async |tx: AccountsTx| {
        Ok(tx.rows.get("ann").copied().unwrap_or(0))
    });
    looked.await
}

/// A branch takes effect as it goes; but what comes after it never overtakes that.
#[tokio::test(start_paused = true)]
async fn what_a_branch_has_sent_has_ended_when_the_branch_has_lost() {
    let test = shop().await;
    let accounts = &test.app.state().accounts;
    accounts.next_commit_is(Fate::Slow);
    let handle = test.app.start(branch_too_slow()).await.unwrap();
    accounts.have_sent(1).await;
    tokio::time::sleep(LIMIT * 2).await;
    accounts.let_commits_happen();
    assert_eq!(handle.result().await.unwrap(), 1);
}

/// What is cancelled stops thinking at once; a commit that was sent is waited for.
#[tokio::test(start_paused = true)]
async fn a_cancelled_workflow_commits_nothing_more() {
    let test = shop().await;
    let handle = test.app.start(thinks().id("t")).await.unwrap();
    begins_to_think(&test).await;
    handle.cancel().await.unwrap();
    handle.result().await.unwrap_err();
    test.app.state().code.go_on.notify_one();
    test.app.shutdown().await;
    let row = test.app.client().get("t").await.unwrap().unwrap();
    assert_eq!(row.state, State::Cancelled);
    assert_eq!(test.app.state().accounts.balance("ann"), 0);
}

/// A transaction has the grace that a step has.
#[tokio::test(start_paused = true)]
async fn a_transaction_that_runs_at_the_end_of_its_process_is_recorded() {
    let test = shop().await;
    test.app.start(thinks().id("t")).await.unwrap();
    begins_to_think(&test).await;
    let goes_on = async {
        test.app.stopping().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        test.app.state().code.go_on.notify_one();
    };
    tokio::join!(test.app.shutdown(), goes_on);
    assert_eq!(test.app.state().accounts.balance("ann"), 1);
    let history = test.history("t").await;
    let recorded = history.iter().any(|(_, name)| name == "think");
    assert!(recorded, "{history:?}");
}
