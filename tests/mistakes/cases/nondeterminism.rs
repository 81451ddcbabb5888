//! Clocks, sleeps, races and random numbers that a recovered workflow would repeat.

use std::time::{Duration, SystemTime};

use stepwell::{Ctx, sleep, workflow};

#[workflow]
async fn checkout(ctx: &mut Ctx) -> stepwell::Result<()> {
    println!("it is {:?}", SystemTime::now());
    tokio::time::sleep(Duration::from_secs(1)).await;
    tokio::select! {
        () = async {} => {}
    }
    tokio::spawn(async {});
    let _shell = std::env::var("SHELL");
    // Within a step all of this is allowed.
    ctx.step("look", async || {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(SystemTime::now())
    })
    .await?;
    stepwell::select!(ctx,
        () = sleep(Duration::from_secs(1)) => println!("{:?}", std::time::Instant::now()),
        () = sleep(Duration::from_secs(2)) => {}
    );
    Ok(())
}

fn main() {}
