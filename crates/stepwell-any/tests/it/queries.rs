//! Queries of `sqlx::Any`: values, rows, transactions of their own.

use std::sync::Arc;

use futures_util::TryStreamExt;
use sqlx::{Executor, Row, Statement};
use stepwell::AnyPool;

use crate::{database::Database, on_both};

on_both!(
    every_kind_of_value_comes_back,
    rows_come_one_by_one,
    a_statement_can_be_prepared,
    what_cannot_be_carried_is_an_error_that_names_it,
    a_transaction_is_kept_or_undone_as_it_ends,
    reads_that_belong_together_see_one_moment,
    a_text_of_several_statements_runs,
);

const VALUES: &str = "
    create table things (
        id bigint primary key,
        small smallint, normal integer, big bigint,
        double double precision,
        label text, slice text, bytes blob
    )";

async fn every_kind_of_value_comes_back(db: &Database) {
    let make = match &db.pool {
        AnyPool::Sqlite(_) => VALUES.to_owned(),
        AnyPool::Postgres(_) => VALUES.replace("blob", "bytea"),
    };
    let make = sqlx::raw_sql(sqlx::AssertSqlSafe(make));
    db.pool.execute(make).await.unwrap();
    let insert = "insert into things values ($1, $2, $3, $4, $5, $6, $7, $8)";
    sqlx::query(insert)
        .bind(1_i64)
        .bind(-3_i16)
        .bind(70_000_i32)
        .bind(i64::MAX)
        .bind(0.1_f64)
        .bind("naïve '\"$1")
        .bind(Arc::new("slice".to_owned()))
        .bind(vec![0_u8, 255])
        .execute(&db.pool)
        .await
        .unwrap();
    sqlx::query(insert)
        .bind(2_i64)
        .bind(None::<i16>)
        .bind(None::<i32>)
        .bind(None::<i64>)
        .bind(None::<f64>)
        .bind(None::<String>)
        .bind(None::<String>)
        .bind(None::<Vec<u8>>)
        .execute(&db.pool)
        .await
        .unwrap();
    let rows = sqlx::query("select * from things order by id")
        .fetch_all(&db.pool)
        .await
        .unwrap();
    let (full, empty) = (&rows[0], &rows[1]);
    assert_eq!(full.get::<i16, _>("small"), -3);
    assert_eq!(full.get::<i32, _>("normal"), 70_000);
    assert_eq!(full.get::<i64, _>("normal"), 70_000, "integers widen");
    assert_eq!(full.get::<i64, _>("big"), i64::MAX);
    assert_eq!(full.get::<f64, _>("double"), 0.1);
    assert_eq!(full.get::<String, _>("label"), "naïve '\"$1");
    assert_eq!(full.get::<&str, _>("slice"), "slice");
    assert_eq!(full.get::<Vec<u8>, _>("bytes"), [0, 255]);
    assert_eq!(empty.get::<Option<i64>, _>("small"), None);
    assert_eq!(empty.get::<Option<f64>, _>("double"), None);
    assert_eq!(empty.get::<Option<String>, _>("label"), None);
    assert_eq!(empty.get::<Option<Vec<u8>>, _>("bytes"), None);
}

async fn rows_come_one_by_one(db: &Database) {
    for item in ["a", "b", "c"] {
        sqlx::query("insert into orders (item) values ($1)")
            .bind(item)
            .execute(&db.pool)
            .await
            .unwrap();
    }
    let mut rows = sqlx::query("select item from orders order by item").fetch(&db.pool);
    let mut items = Vec::new();
    while let Some(row) = rows.try_next().await.unwrap() {
        items.push(row.get::<String, _>(0));
    }
    assert_eq!(items, ["a", "b", "c"]);
    let changed = sqlx::query("update orders set item = 'x' where item <> $1")
        .bind("a")
        .execute(&db.pool)
        .await
        .unwrap();
    assert_eq!(changed.rows_affected(), 2);
}

async fn a_statement_can_be_prepared(db: &Database) {
    let statement = (&db.pool)
        .prepare(sqlx::SqlSafeStr::into_sql_str(
            "select item from orders where item = $1",
        ))
        .await
        .unwrap();
    assert_eq!(sqlx::Column::name(&statement.columns()[0]), "item");
    let none = statement.query().bind("x").fetch_optional(&db.pool).await;
    assert!(none.unwrap().is_none());
}

async fn what_cannot_be_carried_is_an_error_that_names_it(db: &Database) {
    let sql = match &db.pool {
        AnyPool::Sqlite(_) => "create table odd (value datetime); insert into odd values ('now')",
        AnyPool::Postgres(_) => {
            "create table odd (value timestamptz); insert into odd values (now())"
        }
    };
    db.pool.execute_script(sql).await.unwrap();
    let (mut tx, _home) = db.begin().await;
    let read = sqlx::query("select value from odd").fetch_one(&mut tx);
    let error = read.await.err().unwrap().to_string();
    assert!(error.contains("does not support"), "{error}");
    let text: String = sqlx::query_scalar("select cast(value as text) from odd")
        .fetch_one(&mut tx)
        .await
        .unwrap();
    assert!(!text.is_empty());
}

async fn a_transaction_is_kept_or_undone_as_it_ends(db: &Database) {
    const INSERT: &str = "insert into orders (item) values ('widget')";
    let mut kept = db.pool.begin().await.unwrap();
    sqlx::query(INSERT).execute(&mut kept).await.unwrap();
    kept.commit().await.unwrap();
    let mut undone = db.pool.begin().await.unwrap();
    sqlx::query(INSERT).execute(&mut undone).await.unwrap();
    undone.rollback().await.unwrap();
    let mut dropped = db.pool.begin().await.unwrap();
    sqlx::query(INSERT).execute(&mut dropped).await.unwrap();
    drop(dropped);
    // Another write has to wait for the one that was dropped.
    let mut again = db.pool.begin().await.unwrap();
    sqlx::query(INSERT).execute(&mut again).await.unwrap();
    again.commit().await.unwrap();
    assert_eq!(db.orders().await, 2);
}

async fn reads_that_belong_together_see_one_moment(db: &Database) {
    const COUNT: &str = "select count(*) from orders";
    let mut read = db.pool.begin_read().await.unwrap();
    let before: i64 = sqlx::query_scalar(COUNT)
        .fetch_one(&mut read)
        .await
        .unwrap();
    sqlx::query("insert into orders (item) values ('meanwhile')")
        .execute(&db.pool)
        .await
        .unwrap();
    let after: i64 = sqlx::query_scalar(COUNT)
        .fetch_one(&mut read)
        .await
        .unwrap();
    assert_eq!((before, after), (0, 0));
    drop(read);
    assert_eq!(db.orders().await, 1);
}

async fn a_text_of_several_statements_runs(db: &Database) {
    let script = "insert into orders (item) values ('a'); insert into orders (item) values ('b')";
    db.pool.execute_script(script).await.unwrap();
    assert_eq!(db.orders().await, 2);
    assert!(db.pool.execute_script("select 1; selec").await.is_err());
}
