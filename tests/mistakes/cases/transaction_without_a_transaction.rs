//! A transaction whose first parameter is something else.

use stepwell::transaction;

#[transaction]
async fn reserve(product: u32) -> stepwell::Result<u32> {
    Ok(product)
}

fn main() {}
