//! A race of one operation.

#![allow(unused_imports)]

use std::time::Duration;

use stepwell::{Ctx, sleep};

async fn wait(ctx: &mut Ctx) {
    stepwell::select!(ctx, () = sleep(Duration::ZERO) => {})
}

fn main() {}
