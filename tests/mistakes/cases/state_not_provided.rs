//! A step asks for something that the state does not provide.

use stepwell::{Ctx, step, workflow};

struct Gateway;
struct Mailer;

#[derive(stepwell::State)]
struct Shop {
    #[provide]
    gateway: Gateway,
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
