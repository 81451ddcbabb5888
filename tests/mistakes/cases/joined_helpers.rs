//! Two helpers run at once with one context.

use stepwell::{Ctx, step};

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

async fn twice(ctx: &mut Ctx<Shop>) -> stepwell::Result<u64> {
    ctx.run(charge(1)).await?;
    ctx.run(charge(2)).await
}

async fn both(ctx: &mut Ctx<Shop>) {
    let _results = futures_util::future::join(twice(ctx), twice(ctx)).await;
}

fn main() {}
