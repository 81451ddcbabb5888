//! A step takes a piece of the state by value.

use stepwell::step;

struct Gateway;

#[step]
async fn charge(#[state] gateway: Gateway) -> stepwell::Result<()> {
    drop(gateway);
    Ok(())
}

fn main() {}
