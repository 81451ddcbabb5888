//! A workflow whose first parameter is no context.

use stepwell::workflow;

struct Shop;

#[workflow]
async fn checkout(_shop: &mut Shop) -> stepwell::Result<()> {
    Ok(())
}

fn main() {}
