//! A workflow borrows its argument.

use stepwell::{Ctx, workflow};

#[workflow]
async fn greet(_ctx: &mut Ctx, name: &str) -> stepwell::Result<()> {
    println!("{name}");
    Ok(())
}

fn main() {}
