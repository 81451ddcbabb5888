//! A step asks for something that the state does not provide.

use sqlx::SqlitePool;
use stepwell::{Ctx, step, workflow};

struct Mailer;

#[derive(stepwell::State)]
struct Shop {
    #[provide]
    db: SqlitePool,
}

#[step]
async fn mail(#[state] _mailer: &Mailer) -> stepwell::Result<()> {
    Ok(())
}

#[workflow]
async fn checkout(ctx: &mut Ctx<Shop>) -> stepwell::Result<()> {
    ctx.run(mail()).await
}

fn main() {}
