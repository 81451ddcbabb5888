//! A workflow with a type parameter.

use stepwell::{Ctx, workflow};

#[workflow]
async fn store<T: Send>(_ctx: &mut Ctx, value: T) -> stepwell::Result<()> {
    drop(value);
    Ok(())
}

fn main() {}
