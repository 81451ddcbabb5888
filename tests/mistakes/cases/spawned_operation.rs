//! A helper spawns a task that uses the context.

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

async fn helper(ctx: &mut Ctx<Shop>) {
    tokio::spawn(async move { ctx.run(charge(1)).await });
}

fn main() {}
