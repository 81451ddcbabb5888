//! A workflow keeps a value that cannot move between threads.

use std::rc::Rc;

use stepwell::{Ctx, step, workflow};

struct Gateway;

impl Gateway {
    fn charge(&self, cents: u32) -> stepwell::Result<u64> {
        Ok(u64::from(cents))
    }
}

#[derive(stepwell::State)]
struct Shop {
    #[provide]
    gateway: Gateway,
}

#[step]
async fn charge(#[state] gateway: &Gateway, cents: u32) -> stepwell::Result<u64> {
    gateway.charge(cents)
}

#[workflow]
async fn checkout(ctx: &mut Ctx<Shop>) -> stepwell::Result<()> {
    let cents = Rc::new(1);
    ctx.run(charge(*cents)).await?;
    drop(cents);
    Ok(())
}

fn main() {}
