//! A word that is no isolation level, and options where they mean nothing.

use stepwell::{SqliteTx, step, transaction};

#[transaction(isolation = "strict")]
async fn pay(_tx: &mut SqliteTx) -> stepwell::Result<()> {
    Ok(())
}

#[transaction(read_only = true)]
async fn look(_tx: &mut SqliteTx) -> stepwell::Result<()> {
    Ok(())
}

#[step(read_only)]
async fn ask() -> stepwell::Result<()> {
    Ok(())
}

fn main() {}
