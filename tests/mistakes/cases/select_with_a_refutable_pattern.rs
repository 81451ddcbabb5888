//! A pattern that does not match every value.

use std::time::Duration;

use stepwell::{Ctx, Topic, recv, sleep};

const APPROVAL: Topic<Option<u32>> = Topic::new("approval");

async fn wait(ctx: &mut Ctx) -> u32 {
    stepwell::select!(ctx,
        Some(level) = recv(APPROVAL) => level,
        () = sleep(Duration::from_secs(1)) => 0,
    )
}

fn main() {}
