//! Transactions happen exactly once, whatever is lost on the way.

use stepwell::{Ctx, testing::Harness, workflow};

use crate::bank::{AccountsTx, Bank, GO, PayError, credit};

#[workflow]
async fn deposit(ctx: &mut Ctx<Bank>, amount: u64) -> Result<u64, PayError> {
    let total = ctx.run(credit("ann", amount)).await?;
    ctx.recv(GO).await;
    Ok(total)
}

#[workflow]
async fn ad_hoc(ctx: &mut Ctx<Bank>) -> stepwell::Result<u64> {
    ctx.tx("insert", async |mut tx: AccountsTx| {
        tx.rows.insert("bob".to_owned(), 7);
        Ok(7)
    })
    .await
}

#[workflow]
async fn refused(ctx: &mut Ctx<Bank>) -> stepwell::Result<()> {
    ctx.tx("insert", async |mut tx: AccountsTx| {
        tx.rows.insert("bob".to_owned(), 7);
        stepwell::bail!("the books are closed");
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_answer_is_lost_is_not_applied_twice() {
    let test = Harness::new(Bank::default()).await;
    test.app.state().accounts.lose_the_next_answer();
    let handle = test.app.start(deposit(5)).await.unwrap();
    handle.send(GO, 0).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), 5);
    assert_eq!(test.app.state().accounts.balance("ann"), 5);
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_the_commit_and_the_record_is_not_applied_twice() {
    let test = Harness::new(Bank::default()).await;
    let handle = test.app.start(deposit(5).id("d")).await.unwrap();
    // The record of a transaction rides with a later batch: crash as soon as the money is there.
    while test.app.state().accounts.balance("ann") == 0 {
        tokio::task::yield_now().await;
    }
    test.crash().await;
    handle.send(GO, 0).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), 5);
    assert_eq!(test.app.state().accounts.balance("ann"), 5);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_can_be_a_closure() {
    let test = Harness::new(Bank::default()).await;
    assert_eq!(test.app.run(ad_hoc()).await.unwrap(), 7);
    assert_eq!(test.app.state().accounts.balance("bob"), 7);
}

#[tokio::test(start_paused = true)]
async fn an_error_undoes_the_transaction_and_is_the_result() {
    let test = Harness::new(Bank::default()).await;
    let error = test.app.run(refused()).await.unwrap_err();
    assert_eq!(error.to_string(), "the books are closed");
    assert_eq!(test.app.state().accounts.balance("bob"), 0);
}
