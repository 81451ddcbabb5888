//! A state that provides one type twice.

use sqlx::SqlitePool;

#[derive(stepwell::State)]
struct Shop {
    #[provide]
    db: SqlitePool,
    #[provide]
    archive: SqlitePool,
}

fn main() {}
