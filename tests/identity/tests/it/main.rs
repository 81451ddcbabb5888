//! Random ids from clients, children, ticks, events, keys of requests, second tries, forks and poison,
//! with deletion and reuse, in one store and in two that share their user's database: no two pieces of
//! work ever meet.
//!
//! `STEPWELL_IDENTITY_SEEDS` says how many runs there are, from `STEPWELL_IDENTITY_SEED` on.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod books;
mod known;
mod makers;
mod place;

use std::env;

use place::Place;
use rand::{SeedableRng, rngs::StdRng};

/// How many pieces of work each run asks for.
const ASKED: u32 = 150;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_two_pieces_of_work_meet_on_sqlite() {
    for seed in seeds(2) {
        play(&Place::sqlite().await, seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_two_pieces_of_work_meet_on_postgres() {
    for seed in seeds(1) {
        if let Some(place) = Place::postgres().await {
            play(&place, seed).await;
        }
    }
}

fn seeds(usual: u64) -> impl Iterator<Item = u64> {
    let number = |name| env::var(name).ok()?.parse().ok();
    let from: u64 = number("STEPWELL_IDENTITY_SEED").unwrap_or(0);
    let count: u64 = number("STEPWELL_IDENTITY_SEEDS").unwrap_or(usual);
    from..from + count
}

/// Asks two applications, each with a store of its own, for work at random, and looks at every answer and
/// at what was done.
async fn play(place: &Place, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let said = format!("STEPWELL_IDENTITY_SEED={seed}");
    let mut shops = [
        makers::Shop::open(place, "one", &said).await,
        makers::Shop::open(place, "two", &said).await,
    ];
    for _ in 0..ASKED {
        let shop = &mut shops[usize::from(rand::Rng::random_ratio(&mut random, 1, 3))];
        shop.ask(&mut random).await;
    }
    for shop in &mut shops {
        shop.settle().await;
    }
    for shop in shops {
        shop.check_books(place).await;
        shop.app.shutdown().await;
    }
}
