//! A function without `#[workflow]` is started.

use stepwell::{App, Ctx};

async fn helper(_ctx: &mut Ctx) -> stepwell::Result<()> {
    Ok(())
}

async fn start(app: App) {
    let _handle = app.start(helper()).await;
}

fn main() {}
