//! A workflow's error cannot be made from the step's.

use serde::{Deserialize, Serialize};
use stepwell::{Ctx, step, workflow};

struct Gateway;

impl Gateway {
    fn charge(&self, cents: u32) -> stepwell::Result<u64> {
        Ok(u64::from(cents))
    }
}

#[derive(stepwell::State)]
struct Shop {
    #[provide]
    gateway: Gateway,
}

#[step]
async fn charge(#[state] gateway: &Gateway, cents: u32) -> stepwell::Result<u64> {
    gateway.charge(cents)
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
enum Trouble {
    #[error("sold out")]
    SoldOut,
}

#[workflow]
async fn checkout(ctx: &mut Ctx<Shop>) -> Result<(), Trouble> {
    ctx.run(charge(1)).await?;
    Err(Trouble::SoldOut)
}

fn main() {}
