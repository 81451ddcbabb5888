//! What a step returns cannot be stored.

use stepwell::step;

struct Receipt {
    cents: u32,
}

#[step]
async fn receipt(cents: u32) -> stepwell::Result<Receipt> {
    Ok(Receipt { cents })
}

fn main() {}
