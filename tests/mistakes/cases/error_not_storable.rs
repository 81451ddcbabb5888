//! The error of a workflow cannot be stored.

use stepwell::{Ctx, workflow};

#[derive(Debug)]
enum Trouble {
    SoldOut,
}

#[workflow]
async fn checkout(_ctx: &mut Ctx) -> Result<(), Trouble> {
    Err(Trouble::SoldOut)
}

fn main() {}
