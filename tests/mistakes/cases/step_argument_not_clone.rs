//! A step takes a value that cannot be copied for a second attempt.

use stepwell::step;

struct Parcel;

#[step]
async fn ship(parcel: Parcel) -> stepwell::Result<()> {
    drop(parcel);
    Ok(())
}

fn main() {}
