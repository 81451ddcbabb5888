//! A race that names no context.

#![allow(unused_imports)]

use std::time::Duration;

use stepwell::{Ctx, sleep};

async fn wait(_ctx: &mut Ctx) {
    stepwell::select!(
        () = sleep(Duration::ZERO) => {},
        () = sleep(Duration::from_secs(1)) => {},
    )
}

fn main() {}
