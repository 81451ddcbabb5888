//! A schedule that is no cron expression.

use stepwell::{Ctx, workflow};

#[workflow(schedule = "every minute please")]
async fn report(_ctx: &mut Ctx) -> stepwell::Result<()> {
    Ok(())
}

fn main() {}
