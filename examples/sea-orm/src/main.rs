//! `DATABASE_URL=postgres://localhost/shop cargo run -p sea-orm-orders`: sells a widget, once,
//! however often it is run.
#![allow(
    clippy::print_stdout,
    reason = "the program talks to the person who runs it"
)]

use sea_orm::Database;
use sea_orm_orders::orders::{self, Shop, sell};
use stepwell::App;

#[tokio::main]
async fn main() -> stepwell::Result<()> {
    let url = std::env::var("DATABASE_URL")
        .map_err(|_| stepwell::Failure::msg("set DATABASE_URL=postgres://user@host/database"))?;
    let db = Database::connect(&url).await?;
    orders::make_table(&db).await?;
    let app = App::builder("sea-orm-orders")
        .database(&url)
        .state(Shop { db })
        .launch()
        .await?;
    let sold = app.run(sell("widget".to_owned()).id("the first")).await?;
    println!("orders: {sold}");
    app.shutdown().await;
    Ok(())
}
