//! A schedule with a field that is out of range.

use stepwell::{Ctx, workflow};

#[workflow(schedule = "0 25 * * *", timezone = "Europe/Berlin")]
async fn report(_ctx: &mut Ctx) -> stepwell::Result<()> {
    Ok(())
}

fn main() {}
