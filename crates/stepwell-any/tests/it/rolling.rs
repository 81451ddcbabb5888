//! Two releases of one program side by side, launched, stopped and killed at random: no schedule is
//! lost or turned back, no limit either, no work is stranded, and everything ends.
//!
//! `STEPWELL_ROLLING_ROUNDS` says how long (`just rolling-versions-long`), `STEPWELL_ROLLING_SEED` which
//! sequence; the seed of a run that fails is in its message.

mod fleet;
mod new;
mod old;

use std::{collections::BTreeMap, future::Future, time::Duration};

use stepwell::{Client, State};

use self::fleet::{Fleet, Release};
use crate::{database::Database, on_both};

on_both!(releases_roll_forward_and_back);

/// How long anything may take that must come.
const PATIENCE: Duration = Duration::from_secs(90);

/// Numbers that look random, and are the same for a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }
}

fn number(variable: &str, default: u64) -> u64 {
    let given = std::env::var(variable).ok();
    given.map_or(default, |given| given.parse().unwrap())
}

async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("{what}"));
}

async fn releases_roll_forward_and_back(database: &Database) {
    let rounds = number("STEPWELL_ROLLING_ROUNDS", 10);
    let seed = number("STEPWELL_ROLLING_SEED", 20_260_505);
    let client = Client::open(&database.workflows()).await.unwrap();
    let mut fleet = Fleet::new(database.workflows(), client.clone());
    let mut dice = Dice(seed.max(1));
    eprintln!("seed {seed}, {rounds} rounds");

    fleet.launch(Release::Old).await;
    for round in 0..rounds {
        for _ in 0..3 {
            fleet.start_something(&mut dice).await;
        }
        match dice.below(6) {
            0 => fleet.launch(Release::Old).await,
            1 | 2 => fleet.launch(Release::New).await,
            3 | 4 => fleet.stop(&mut dice).await,
            _ => fleet.kill(&mut dice),
        }
        fleet
            .nothing_is_turned_back(&format!("seed {seed}, round {round}"))
            .await;
    }

    // Each release can run what the other one is stuck in.
    fleet.launch(Release::Old).await;
    fleet.launch(Release::New).await;
    let started = fleet.started();
    until("everything ends", || all_ended(&client, &started)).await;
    fleet.everything_ran_once(&client).await;
    fleet.schedules_tick(&client).await;

    // The old release is gone for good: what it alone declared ends with it.
    fleet.stop_all(Release::Old).await;
    until("the old schedule is withdrawn", || async {
        !specs(&client).await.contains_key("leaving")
    })
    .await;
    fleet
        .nothing_is_turned_back(&format!("seed {seed}, end"))
        .await;
    fleet.stop_all(Release::New).await;
}

async fn all_ended(client: &Client, ids: &[String]) -> bool {
    for id in ids {
        let row = client.get(id).await.unwrap().unwrap();
        assert_ne!(row.state, State::Failed, "{id}: {:?}", row.reason);
        assert_ne!(row.state, State::Dead, "{id}: {:?}", row.reason);
        if row.state != State::Succeeded {
            return false;
        }
    }
    true
}

/// The expressions of all schedules, by name.
async fn specs(client: &Client) -> BTreeMap<String, String> {
    let all = client.schedules().await.unwrap();
    all.into_iter().map(|it| (it.name, it.spec)).collect()
}
