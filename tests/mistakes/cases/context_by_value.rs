//! A workflow that takes its context by value.

use stepwell::{Ctx, workflow};

#[workflow]
async fn checkout(_ctx: Ctx) -> stepwell::Result<()> {
    Ok(())
}

fn main() {}
