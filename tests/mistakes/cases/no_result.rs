//! A workflow that returns no `Result`.

use stepwell::{Ctx, workflow};

#[workflow]
async fn count(_ctx: &mut Ctx) -> u32 {
    1
}

fn main() {}
