//! A transaction asks for its attempt.

use stepwell::{Attempt, transaction};

struct MyTx;

#[transaction]
async fn reserve(_tx: &mut MyTx, #[attempt] attempt: &Attempt) -> stepwell::Result<u32> {
    Ok(attempt.number())
}

fn main() {}
