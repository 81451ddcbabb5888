//! A step with a schedule.

use stepwell::step;

#[step(schedule = "0 * * * *")]
async fn report() -> stepwell::Result<()> {
    Ok(())
}

fn main() {}
