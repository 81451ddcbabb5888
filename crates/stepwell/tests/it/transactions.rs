//! Transactions happen exactly once, whatever is lost on the way.

use stepwell::{Ctx, Isolation, TxOptions, testing::Harness, workflow};

use crate::bank::{Accounts, AccountsTx, Bank, GO, PayError, balance, credit};

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

/// The witness is asked before the code runs, which could find its own changes and fail on them.
#[tokio::test(start_paused = true)]
async fn what_was_committed_before_a_crash_does_not_run_again() {
    let test = Harness::new(Bank::default()).await;
    let handle = test.app.start(deposit(5).id("d")).await.unwrap();
    while test.app.state().accounts.balance("ann") == 0 {
        tokio::task::yield_now().await;
    }
    test.crash().await;
    handle.send(GO, 0).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), 5);
    assert_eq!(test.app.state().accounts.begun().len(), 1);
}

/// Somebody deletes a workflow to have its work done again.
#[tokio::test(start_paused = true)]
async fn an_id_that_is_used_again_is_another_transaction() {
    let test = Harness::new(Bank::default()).await;
    for (amount, total) in [(5, 5), (7, 12)] {
        let handle = test.app.start(deposit(amount).id("d")).await.unwrap();
        handle.send(GO, 0).await.unwrap();
        assert_eq!(handle.result().await.unwrap(), total);
        test.app.client().delete("d").await.unwrap();
    }
    assert_eq!(test.app.state().accounts.balance("ann"), 12);
}

/// The same, where the second one is taken over before its transaction has begun.
#[tokio::test(start_paused = true)]
async fn a_workflow_that_is_taken_over_finds_no_witness_of_an_earlier_one() {
    let test = Harness::new(Bank::default()).await;
    let handle = test.app.start(deposit(5).id("d")).await.unwrap();
    handle.send(GO, 0).await.unwrap();
    handle.result().await.unwrap();
    test.app.client().delete("d").await.unwrap();
    // Nobody runs it here: it is claimed, like one that is taken over.
    let handle = test.app.start(deposit(7).id("d").anywhere());
    let handle = handle.await.unwrap();
    handle.send(GO, 0).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), 12);
}

/// Staging and production, or two applications: each has a workflow of this id.
#[tokio::test(start_paused = true)]
async fn two_databases_of_workflows_share_a_business_database() {
    let accounts = Accounts::default();
    let bank = || Bank {
        accounts: accounts.clone(),
        ..Bank::default()
    };
    let (one, other) = (Harness::new(bank()).await, Harness::new(bank()).await);
    for (test, total) in [(&one, 5), (&other, 10)] {
        let handle = test.app.start(deposit(5).id("d")).await.unwrap();
        handle.send(GO, 0).await.unwrap();
        assert_eq!(handle.result().await.unwrap(), total);
    }
    assert_eq!(accounts.balance("ann"), 10);
}

#[tokio::test(start_paused = true)]
async fn a_fork_does_its_transactions_anew() {
    let test = Harness::new(Bank::default()).await;
    let handle = test.app.start(deposit(5).id("d")).await.unwrap();
    handle.send(GO, 0).await.unwrap();
    handle.result().await.unwrap();
    let client = test.app.client();
    // Onto an id that was somebody else's, which left a witness at the same place.
    client
        .fork("d", "e", stepwell::Position::top(0))
        .await
        .unwrap();
    let fork = test.app.handle::<deposit>("e");
    fork.send(GO, 0).await.unwrap();
    assert_eq!(fork.result().await.unwrap(), 10);
    client.delete("e").await.unwrap();
    client
        .fork("d", "e", stepwell::Position::top(0))
        .await
        .unwrap();
    fork.send(GO, 0).await.unwrap();
    assert_eq!(fork.result().await.unwrap(), 15);
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

#[workflow]
async fn looks(ctx: &mut Ctx<Bank>) -> stepwell::Result<u64> {
    let first = ctx.run(balance("ann")).await?;
    let looked = ctx.tx("look", async |tx: AccountsTx| Ok(tx.rows.len()));
    looked
        .read_only()
        .isolation(Isolation::Serializable)
        .await?;
    ctx.recv(GO).await;
    Ok(first)
}

#[tokio::test(start_paused = true)]
async fn what_only_reads_is_begun_as_it_says_and_leaves_no_witness() {
    let test = Harness::new(Bank::default()).await;
    let handle = test.app.start(looks()).await.unwrap();
    handle.send(GO, 0).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), 0);
    let accounts = &test.app.state().accounts;
    let read_only = |isolation| TxOptions {
        isolation: Some(isolation),
        read_only: true,
    };
    let expected = [Isolation::RepeatableRead, Isolation::Serializable].map(read_only);
    assert_eq!(accounts.begun(), expected);
    assert_eq!(accounts.witnesses(), 0);
}

/// Nothing but its record tells what it has read: it is on disk before anything else happens.
#[tokio::test(start_paused = true)]
async fn what_was_read_and_recorded_is_not_read_again() {
    let test = Harness::new(Bank::default()).await;
    let handle = test.app.start(looks().id("l")).await.unwrap();
    // The second transaction begins when the record of the first is on disk.
    while test.app.state().accounts.begun().len() < 2 {
        tokio::task::yield_now().await;
    }
    test.app.state().accounts.set_by_hand("ann", 9);
    test.crash().await;
    handle.send(GO, 0).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), 0);
}

mod in_sqlite {
    //! The same promises on the user's own SQLite database.

    use sqlx::SqlitePool;
    use stepwell::{App, Ctx, SqliteTx, WorkflowError, testing::Harness, transaction, workflow};

    #[derive(stepwell::State)]
    struct Books {
        #[provide]
        db: SqlitePool,
    }

    impl Books {
        async fn open(directory: &std::path::Path) -> Self {
            let url = format!("sqlite:{}?mode=rwc", directory.join("books.db").display());
            let db = SqlitePool::connect(&url).await.unwrap();
            sqlx::query("create table entries (text text)")
                .execute(&db)
                .await
                .unwrap();
            Self { db }
        }

        async fn entries(&self) -> i64 {
            sqlx::query_scalar("select count(*) from entries")
                .fetch_one(&self.db)
                .await
                .unwrap()
        }
    }

    #[transaction]
    async fn enter(tx: &mut SqliteTx, text: &str) -> stepwell::Result<i64> {
        sqlx::query("insert into entries values (?)")
            .bind(text)
            .execute(&mut *tx)
            .await?;
        Ok(sqlx::query_scalar("select count(*) from entries")
            .fetch_one(tx)
            .await?)
    }

    #[transaction]
    async fn commits_by_hand(tx: &mut SqliteTx) -> stepwell::Result<()> {
        sqlx::query("insert into entries values ('x')")
            .execute(&mut *tx)
            .await?;
        sqlx::query("commit").execute(tx).await.ok();
        Ok(())
    }

    #[transaction(read_only)]
    async fn count(tx: &mut SqliteTx) -> stepwell::Result<i64> {
        Ok(sqlx::query_scalar("select count(*) from entries")
            .fetch_one(tx)
            .await?)
    }

    #[transaction(read_only)]
    async fn writes_all_the_same(tx: &mut SqliteTx) -> stepwell::Result<()> {
        sqlx::query("insert into entries values ('x')")
            .execute(tx)
            .await?;
        Ok(())
    }

    #[workflow]
    async fn counting(ctx: &mut Ctx<Books>) -> stepwell::Result<i64> {
        ctx.run(count()).await
    }

    #[workflow]
    async fn two_faced(ctx: &mut Ctx<Books>) -> stepwell::Result<()> {
        ctx.run(writes_all_the_same()).await
    }

    #[workflow]
    async fn bookkeeping(ctx: &mut Ctx<Books>) -> stepwell::Result<i64> {
        ctx.run(enter("first")).await?;
        ctx.run(enter("second")).await
    }

    #[workflow]
    async fn sloppy(ctx: &mut Ctx<Books>) -> stepwell::Result<()> {
        ctx.run(commits_by_hand()).await
    }

    #[tokio::test]
    async fn entries_are_made_once_for_each_operation() {
        let directory = tempfile::tempdir().unwrap();
        let test = Harness::new(Books::open(directory.path()).await).await;
        for _ in 0..2 {
            assert_eq!(test.app.run(bookkeeping().id("b")).await.unwrap(), 2);
        }
        assert_eq!(test.app.state().entries().await, 2);
    }

    /// It was started, and has committed, before workflows were told apart by more than their ids.
    #[tokio::test]
    async fn a_workflow_of_an_earlier_version_finds_its_witness() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("flows.db").display());
        let books = Books::open(directory.path()).await;
        let db = books.db.clone();
        let app = App::builder("books").state(books).database(&url);
        let app = app.build().await.unwrap();
        let handle = app.start(bookkeeping().id("b")).await.unwrap();
        let flows = SqlitePool::connect(&url).await.unwrap();
        let forget = sqlx::query("update workflows set nonce = null");
        forget.execute(&flows).await.unwrap();
        sqlx::raw_sql(
            "create table stepwell_witness (
                workflow_id text not null,
                position text not null,
                output text not null,
                recorded_at integer not null,
                primary key (workflow_id, position)
            ) without rowid;
            insert into stepwell_witness values ('b', '0', '1', 0);
            insert into entries values ('first')",
        )
        .execute(&db)
        .await
        .unwrap();
        app.launch().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), 2);
        let keys = sqlx::query_scalar("select workflow_id from stepwell_witness order by position");
        let keys: Vec<String> = keys.fetch_all(&db).await.unwrap();
        assert_eq!(keys, ["b", "b"]);
        app.shutdown().await;
    }

    #[tokio::test]
    async fn code_that_commits_by_hand_is_told_so_and_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let test = Harness::new(Books::open(directory.path()).await).await;
        let Err(WorkflowError::Stuck(reason)) = test.app.run(sloppy()).await else {
            panic!("the workflow is not stuck");
        };
        assert!(reason.contains("must not commit or roll back"), "{reason}");
        assert_eq!(test.app.state().entries().await, 0);
    }

    #[tokio::test]
    async fn what_only_reads_leaves_nothing_in_the_database() {
        let directory = tempfile::tempdir().unwrap();
        let test = Harness::new(Books::open(directory.path()).await).await;
        assert_eq!(test.app.run(counting()).await.unwrap(), 0);
        let tables: Vec<String> = sqlx::query_scalar("select name from sqlite_schema")
            .fetch_all(&test.app.state().db)
            .await
            .unwrap();
        assert_eq!(tables, ["entries"]);
    }

    #[tokio::test]
    async fn code_that_writes_where_it_only_reads_is_told_so_and_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let test = Harness::new(Books::open(directory.path()).await).await;
        let Err(WorkflowError::Stuck(reason)) = test.app.run(two_faced()).await else {
            panic!("the workflow is not stuck");
        };
        assert!(reason.contains("read-only"), "{reason}");
        assert_eq!(test.app.state().entries().await, 0);
    }
}
