//! The workflows. Each life of each id enters itself into the user's books, once.

use stepwell::{AnyPool, AnyTx, Ctx, Timestamp, transaction, workflow};

/// What an application's workflows are given.
#[derive(stepwell::State)]
pub(crate) struct Books {
    #[provide]
    pub(crate) db: AnyPool,
    pub(crate) store: &'static str,
}

impl Books {
    /// What a workflow is called in the books.
    pub(crate) fn name_of(store: &str, id: &str) -> String {
        format!("{store}/{id}")
    }
}

/// Says which life of the id it is: 1 for the first.
#[transaction]
async fn enter(tx: &mut AnyTx, what: String) -> stepwell::Result<i64> {
    sqlx::query("insert into books (what) values ($1)")
        .bind(&what)
        .execute(&mut *tx)
        .await?;
    let lives = "select count(*) from books where what = $1";
    Ok(sqlx::query_scalar(lives).bind(&what).fetch_one(tx).await?)
}

fn what(ctx: &Ctx<Books>) -> String {
    Books::name_of(ctx.state().store, ctx.id())
}

#[workflow]
pub(crate) async fn work(ctx: &mut Ctx<Books>, _n: u32) -> stepwell::Result<i64> {
    let what = what(ctx);
    ctx.run(enter(what)).await
}

/// The same under another name.
#[workflow]
pub(crate) async fn other_work(ctx: &mut Ctx<Books>, _n: u32) -> stepwell::Result<i64> {
    let what = what(ctx);
    ctx.run(enter(what)).await
}

/// Has a child, which is entered as well.
#[workflow]
pub(crate) async fn family(ctx: &mut Ctx<Books>, n: u32) -> stepwell::Result<i64> {
    let child = ctx.run(work(n)).await?;
    if child != 1 {
        stepwell::bail!("the child is the {child}th of its id");
    }
    let what = what(ctx);
    ctx.run(enter(what)).await
}

/// Becomes a dead letter.
#[workflow]
pub(crate) async fn fails(ctx: &mut Ctx<Books>, _n: u32) -> stepwell::Result<i64> {
    let what = what(ctx);
    let life = ctx.run(enter(what)).await?;
    stepwell::bail!("life {life}");
}

#[workflow]
pub(crate) async fn ticks(ctx: &mut Ctx<Books>, _at: Timestamp) -> stepwell::Result<i64> {
    let what = what(ctx);
    ctx.run(enter(what)).await
}
