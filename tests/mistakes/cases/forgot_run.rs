//! Calls and operations that nothing runs.

#![deny(unused_must_use)]

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
async fn child(_ctx: &mut Ctx<Shop>) -> stepwell::Result<()> {
    Ok(())
}

#[workflow]
async fn checkout(ctx: &mut Ctx<Shop>) -> stepwell::Result<()> {
    charge::<Shop>(1);
    child();
    ctx.run(charge(1));
    Ok(())
}

fn main() {}
