//! A context runs something that is no operation.

use stepwell::{Ctx, workflow};

#[workflow]
async fn checkout(ctx: &mut Ctx) -> stepwell::Result<()> {
    ctx.run(std::future::ready(1)).await;
    Ok(())
}

fn main() {}
