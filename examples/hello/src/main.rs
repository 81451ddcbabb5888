//! The smallest program that survives a crash: stop it half way, run it again, and it goes on.
#![allow(
    clippy::print_stdout,
    reason = "the program talks to the person who runs it"
)]

use std::time::Duration;

use stepwell::{App, Ctx, step, workflow};

#[step]
async fn brew(cup: u32) -> stepwell::Result<String> {
    println!("brewing cup {cup}");
    Ok(format!("cup {cup}"))
}

#[workflow]
async fn breakfast(ctx: &mut Ctx, cups: u32) -> stepwell::Result<Vec<String>> {
    let mut served = Vec::new();
    for cup in 1..=cups {
        served.push(ctx.run(brew(cup)).await?);
        ctx.sleep(Duration::from_secs(1)).await;
    }
    Ok(served)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // `postgres://user:password@host/database` does as well.
    let url = std::env::var("DATABASE_URL").unwrap_or_else(|_| "sqlite:breakfast.db".to_owned());
    let app = App::builder("breakfast").database(url).launch().await?;
    println!("served: {:?}", app.run(breakfast(5).id("monday")).await?);
    Ok(())
}
