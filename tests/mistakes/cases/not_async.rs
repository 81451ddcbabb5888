//! A step that is an ordinary function.

use stepwell::step;

#[step]
fn charge(cents: u32) -> stepwell::Result<u32> {
    Ok(cents)
}

fn main() {}
