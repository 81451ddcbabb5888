//! A step that returns a type of its own instead of a `Result`.

use serde::{Deserialize, Serialize};
use stepwell::step;

#[derive(Serialize, Deserialize)]
struct Receipt;

#[step]
async fn receipt() -> Receipt {
    Receipt
}

fn main() {}
