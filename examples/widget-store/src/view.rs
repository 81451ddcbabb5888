//! The store as the page shows it: everything read from the database, at one moment.

use serde::Serialize;
use stepwell::{AnyTransaction, ExecutorId, Timestamp};

use crate::{server::Store, timeline::Deaths};

/// How many orders the page lists, and how many `GET /orders` answers.
const LISTED_MAX: i64 = 50;
pub(crate) const ORDERS_MAX: i64 = 1_000;

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
#[derive(Debug, Serialize, PartialEq)]
struct Invariant {
    stock: i64,
    sold: i64,
    total: i64,
    holds: bool,
}

/// The casts are for Postgres, whose sums of integers are of a wider type, and the number at the end
/// is for SQLite, which has no other truth.
const INVARIANT: &str = "
    select stock, sold, total, case when stock + sold = total then 1 else 0 end
    from (
        select cast((select sum(inventory) from products) as bigint) as stock,
               cast((select coalesce(sum(widgets), 0) from orders) as bigint) as sold,
               cast((select sum(widgets) from deliveries) as bigint) as total
    ) as sums";

const APPLIED_TWICE: &str = "
    select cast(coalesce(sum(times - 1), 0) as bigint)
    from (
        select count(*) as times
        from applied
        group by workflow_id, operation
        having count(*) > 1
    ) as doubled";

const CRASH: &str = "
    select at, mode, restarted_ms, resumed_ms, workflow, phase
    from crashes
    where crash_id = $1";

impl StoreView {
    /// Reads it in one transaction, so that the numbers belong together.
    pub(crate) async fn read(store: &Store) -> Result<Self, sqlx::Error> {
        let shop = store.shop();
        let mut read = shop.db.begin_read().await?;
        let crashes = sqlx::query_scalar("select count(*) from crashes");
        let process = ProcessView {
            pid: std::process::id(),
            started_at: store.started_at,
            crashes: crashes.fetch_one(&mut read).await?,
            chaos: shop.crash.is_chaos(),
            armed: shop.crash.is_armed(),
        };
        let crash = sqlx::query_as(CRASH).bind(store.log.crash_id());
        Ok(Self {
            process,
            crash: crash.fetch_optional(&mut read).await?,
            product: product(&mut read).await?,
            orders: orders(&mut read, LISTED_MAX).await?,
            invariant: invariant(&mut read).await?,
            applied_twice: sqlx::query_scalar(APPLIED_TWICE)
                .fetch_one(&mut read)
                .await?,
        })
    }
}

/// The product.
pub(crate) async fn product(read: &mut AnyTransaction) -> Result<Product, sqlx::Error> {
    sqlx::query_as("select * from products")
        .fetch_one(&mut *read)
        .await
}

/// The newest orders, newest first.
pub(crate) async fn orders(
    read: &mut AnyTransaction,
    at_most: i64,
) -> Result<Vec<Order>, sqlx::Error> {
    sqlx::query_as("select * from orders order by order_id desc limit $1")
        .bind(at_most)
        .fetch_all(&mut *read)
        .await
}

/// One order.
pub(crate) async fn order(
    read: &mut AnyTransaction,
    order_id: i64,
) -> Result<Option<Order>, sqlx::Error> {
    sqlx::query_as("select * from orders where order_id = $1")
        .bind(order_id)
        .fetch_optional(&mut *read)
        .await
}

/// When each executor's process died. The newest deaths are enough for what the page shows.
pub(crate) async fn deaths(store: &Store) -> Result<Deaths, sqlx::Error> {
    let newest = "
        select executor, at
        from crashes
        where executor is not null
        order by crash_id desc
        limit 1000";
    let deaths: Vec<(String, String)> = sqlx::query_as(newest).fetch_all(&store.shop().db).await?;
    let deaths = deaths.into_iter();
    Ok(deaths
        .filter_map(|(executor, at)| Some((ExecutorId::from_stored(executor), at.parse().ok()?)))
        .collect())
}

async fn invariant(read: &mut AnyTransaction) -> Result<Invariant, sqlx::Error> {
    let (stock, sold, total, holds): (i64, i64, i64, i64) =
        sqlx::query_as(INVARIANT).fetch_one(read).await?;
    Ok(Invariant {
        stock,
        sold,
        total,
        holds: holds != 0,
    })
}
