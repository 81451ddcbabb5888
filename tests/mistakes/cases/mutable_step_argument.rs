//! A step that changes its argument.

use stepwell::step;

#[step]
async fn add(numbers: &mut Vec<u32>) -> stepwell::Result<()> {
    numbers.push(1);
    Ok(())
}

fn main() {}
