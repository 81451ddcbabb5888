//! A step that wants the context.

use stepwell::{Ctx, step};

#[step]
async fn charge(_ctx: &mut Ctx, cents: u32) -> stepwell::Result<u32> {
    Ok(cents)
}

fn main() {}
