//! A helper races operations without recording the winner.

use std::time::Duration;

use stepwell::Ctx;

async fn race(ctx: &mut Ctx) {
    tokio::select! {
        () = async { ctx.sleep(Duration::ZERO).await; } => {}
        () = async { ctx.sleep(Duration::ZERO).await; } => {}
    }
}

fn main() {}
