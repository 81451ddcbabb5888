//! A schedule cannot fill a second argument.

use stepwell::{Ctx, workflow};

#[workflow(schedule = "0 * * * *")]
async fn report(_ctx: &mut Ctx, at: String, to: String) -> stepwell::Result<()> {
    println!("{at} {to}");
    Ok(())
}

fn main() {}
