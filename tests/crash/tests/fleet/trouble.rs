//! What happens to a fleet, by a seed.

use std::{
    env,
    str::FromStr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use sqlx::PgPool;

use crate::{
    load::Load,
    proof,
    scene::{Left, Scene},
};

/// How many workflows are started, unless `STEPWELL_FLEET_WORKFLOWS` says it.
const WORKFLOWS: usize = 150;

/// How long a take-over may take with the default lease.
const TARGET: Duration = Duration::from_secs(10);

/// Two tests at once would only slow each other down.
static MACHINE: Mutex<()> = Mutex::new(());

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// `kill -9`, and a new process in its place.
    Kill,
    /// SIGSTOP for longer than the lease, then SIGCONT.
    Stop,
    /// The server ends at once and comes back.
    Restart,
    /// Connections are reset at any byte.
    Cut,
    /// Connections fall silent, both ways.
    Silence,
}

/// What stands between the fleet and the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Between {
    Nothing,
    Proxy,
    /// PgBouncer, before the database of the workflows only: sqlx, with which the user's database is
    /// written, names its statements, and those do not get through this one.
    Pooler,
    ProxyAndPooler,
}

/// One test.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) troubles: &'static [Trouble],
    /// How often something happens to the everyday load.
    pub(crate) times: usize,
    pub(crate) between: Between,
    /// The default if there is none.
    pub(crate) lease: Option<Duration>,
}

/// A number from the environment.
pub(crate) fn setting<T: FromStr>(name: &str, default: T) -> T {
    let set = env::var(name).ok();
    set.map_or(default, |value| {
        let parsed = value.parse().ok();
        parsed.unwrap_or_else(|| panic!("{name} is `{value}`, which is no number that fits"))
    })
}

/// Runs a load through its troubles and proves what must be true afterwards.
pub(crate) fn endure(plan: Plan) {
    alone(run(plan));
}

/// Runs a test beside no other one.
pub(crate) fn alone(test: impl Future<Output = ()>) {
    let _alone = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(test);
}

async fn run(plan: Plan) {
    let workflows = setting("STEPWELL_FLEET_WORKFLOWS", WORKFLOWS);
    let seed: u64 = setting("STEPWELL_CRASH_SEED", rand::rng().random());
    let name = plan.name;
    println!("fleet {name}: {workflows} workflows, STEPWELL_CRASH_SEED={seed}");
    let began = Instant::now();
    let mut random = StdRng::seed_from_u64(seed);
    let times = (plan.times * workflows / WORKFLOWS).max(1);
    let load = Load::of(workflows, times + 1, &mut random);
    let Some(mut scene) = Scene::set(plan, random).await else {
        return;
    };
    let told = scene.happen(&load, plan.troubles, times).await;
    if let Err(why) = scene.come_to_an_end(&load).await {
        let left = scene.keep();
        panic!("seed {seed}: {why}; what is left is in {}", left.display());
    }
    let counts = scene.counts();
    let left = scene.end().await;
    let proven = prove(plan, &load, &left);
    let told = told.report();
    println!(
        "fleet {name}: {counts}; {told}; {proven}, {:.1?}",
        began.elapsed()
    );
}

/// All that must be true. The counts, in words.
fn prove(plan: Plan, load: &Load, left: &Left) -> String {
    let ended = proof::ends(load, &left.audit);
    let transactions = proof::transactions(load, &left.applied);
    let steps = proof::steps(&left.lines, &left.audit);
    if !may_lose_leases(plan.troubles) {
        assert_eq!(steps.without_lease, 0, "nobody was cut off, nobody stopped");
    }
    let limits = proof::limits(&left.audit);
    let mut proven = format!(
        "{ended} workflows ended right, {transactions} transactions once, {} letters once and in \
         order, {steps:?}, {limits:?}, take-overs {:?}",
        proof::received(load),
        left.audit.takeovers
    );
    let latencies = proof::take_overs(&left.audit, &left.kills);
    if let (Some(slowest), Some(median)) = (latencies.last(), latencies.get(latencies.len() / 2)) {
        let met = if *slowest < TARGET { "met" } else { "MISSED" };
        proven += &format!(
            ", kill to take-over of {}: median {median:.1?}, slowest {slowest:.1?} (target \
             {TARGET:?}: {met})",
            latencies.len()
        );
    }
    proven
}

/// Whether a process may have lost its lease while it ran.
fn may_lose_leases(troubles: &[Trouble]) -> bool {
    let costs_leases = |it: &Trouble| !matches!(it, Trouble::Kill);
    troubles.iter().any(costs_leases)
}

/// The user's table.
pub(crate) async fn make_applied(shop: &PgPool) {
    let table = "
        create table applied (workflow_id text not null, operation text not null);
        create index applied_by_operation on applied (workflow_id, operation)";
    sqlx::raw_sql(table).execute(shop).await.unwrap();
}
