//! The store as the page shows it: everything read from the database, at one moment.

use serde::Serialize;
use sqlx::{Sqlite, Transaction};
use stepwell::Timestamp;

use crate::server::Store;

/// How many orders the page lists, and how many `GET /orders` answers.
const LISTED_MAX: u32 = 50;
pub(crate) const ORDERS_MAX: u32 = 1_000;

/// The data of the event `store`, but for the time.
#[derive(Debug, Serialize, PartialEq)]
pub(crate) struct StoreView {
    process: ProcessView,
    crash: Option<CrashView>,
    product: Product,
    orders: Vec<Order>,
    invariant: Invariant,
    applied_twice: i64,
}

#[derive(Debug, Serialize, PartialEq)]
struct ProcessView {
    pid: u32,
    started_at: Timestamp,
    crashes: i64,
    chaos: bool,
    armed: bool,
}

/// The crash that the process was born from.
#[derive(Debug, Serialize, PartialEq, sqlx::FromRow)]
struct CrashView {
    at: String,
    mode: String,
    restarted_ms: Option<i64>,
    resumed_ms: Option<i64>,
    workflow: Option<String>,
    phase: Option<String>,
}

/// A row of `products`.
#[derive(Debug, Serialize, PartialEq, sqlx::FromRow)]
pub(crate) struct Product {
    product_id: i64,
    product: String,
    description: String,
    inventory: i64,
    price: f64,
}

/// A row of `orders`.
#[derive(Debug, Serialize, PartialEq, sqlx::FromRow)]
pub(crate) struct Order {
    order_id: i64,
    order_status: i64,
    last_update_time: String,
    progress_remaining: i64,
    payment_id: Option<String>,
    workflow_id: String,
    expires_at: Option<String>,
}

/// No widget is lost and none is sold twice: what is in stock and what is sold or reserved is what
/// was delivered.
#[derive(Debug, Serialize, PartialEq, sqlx::FromRow)]
struct Invariant {
    stock: i64,
    sold: i64,
    total: i64,
    holds: bool,
}

const INVARIANT: &str = "
    select stock, sold, total, stock + sold = total as holds
    from (
        select (select sum(inventory) from products) as stock,
               (select coalesce(sum(widgets), 0) from orders) as sold,
               (select sum(widgets) from deliveries) as total
    )";

const APPLIED_TWICE: &str = "
    select coalesce(sum(times - 1), 0)
    from (
        select count(*) as times
        from applied
        group by workflow_id, operation
        having times > 1
    )";

const CRASH: &str = "
    select at, mode, restarted_ms, resumed_ms, workflow, phase
    from crashes
    where crash_id = ?";

type Read = Transaction<'static, Sqlite>;

impl StoreView {
    /// Reads it in one transaction, so that the numbers belong together.
    pub(crate) async fn read(store: &Store) -> Result<Self, sqlx::Error> {
        let shop = store.shop();
        let mut read: Read = shop.db.begin().await?;
        let crashes = sqlx::query_scalar("select count(*) from crashes");
        let process = ProcessView {
            pid: std::process::id(),
            started_at: store.started_at,
            crashes: crashes.fetch_one(&mut *read).await?,
            chaos: shop.crash.is_chaos(),
            armed: shop.crash.is_armed(),
        };
        let crash = sqlx::query_as(CRASH).bind(store.log.crash_id());
        Ok(Self {
            process,
            crash: crash.fetch_optional(&mut *read).await?,
            product: product(&mut read).await?,
            orders: orders(&mut read, LISTED_MAX).await?,
            invariant: sqlx::query_as(INVARIANT).fetch_one(&mut *read).await?,
            applied_twice: sqlx::query_scalar(APPLIED_TWICE)
                .fetch_one(&mut *read)
                .await?,
        })
    }
}

/// The product.
pub(crate) async fn product(read: &mut Read) -> Result<Product, sqlx::Error> {
    sqlx::query_as("select * from products")
        .fetch_one(&mut **read)
        .await
}

/// The newest orders, newest first.
pub(crate) async fn orders(read: &mut Read, at_most: u32) -> Result<Vec<Order>, sqlx::Error> {
    sqlx::query_as("select * from orders order by order_id desc limit ?")
        .bind(at_most)
        .fetch_all(&mut **read)
        .await
}

/// One order.
pub(crate) async fn order(read: &mut Read, order_id: i64) -> Result<Option<Order>, sqlx::Error> {
    sqlx::query_as("select * from orders where order_id = ?")
        .bind(order_id)
        .fetch_optional(&mut **read)
        .await
}

/// When the process died, oldest first; the newest deaths are enough for what the page shows.
pub(crate) async fn crashes(store: &Store) -> Result<Vec<Timestamp>, sqlx::Error> {
    let recent = "select at from (select * from crashes order by crash_id desc limit 1000) order by crash_id";
    let crashes: Vec<String> = sqlx::query_scalar(recent)
        .fetch_all(&store.shop().db)
        .await?;
    Ok(crashes.iter().filter_map(|at| at.parse().ok()).collect())
}
