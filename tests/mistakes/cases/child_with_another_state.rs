//! A workflow runs a child that needs another state.

use stepwell::{Ctx, workflow};

struct Shop;
struct Bank;

#[workflow]
async fn transfer(_ctx: &mut Ctx<Bank>) -> stepwell::Result<()> {
    Ok(())
}

#[workflow]
async fn checkout(ctx: &mut Ctx<Shop>) -> stepwell::Result<()> {
    let _result = ctx.run(transfer()).await;
    Ok(())
}

fn main() {}
