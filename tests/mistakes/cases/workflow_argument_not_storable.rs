//! A workflow takes a value that cannot be stored.

use stepwell::{Ctx, workflow};

struct Parcel;

#[workflow]
async fn ship(_ctx: &mut Ctx, number: u32, parcel: Parcel) -> stepwell::Result<()> {
    drop((number, parcel));
    Ok(())
}

fn main() {}
