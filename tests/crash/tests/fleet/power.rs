//! The power of the whole machine goes, under load: what was acknowledged is there afterwards, and
//! goes on from where it was.

use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};

use crash_tests::power::{self, Disk};
use rand::{Rng, SeedableRng, rngs::StdRng};
use rustix::process::{Signal, kill_process};
use sqlx::PgPool;
use stepwell::{App, Client};

use crate::{
    audit::{self, Audit},
    fleet::{self, Fleet, Places},
    load::Load,
    proof,
    server::{self, Server},
    trouble::{alone, make_applied, setting},
};

const DISK_BYTES: u64 = 192 << 20;

const WORKFLOWS: usize = 88;

/// They are started in portions, so that any instant has one that was acknowledged just before it.
const PORTIONS: usize = 8;
const PAUSE: Duration = Duration::from_millis(100);

/// The power goes after so many writes or so long a time, whichever comes first.
const WRITES_MAX: u64 = 1_200;
const LIFE_MAX: Duration = Duration::from_millis(2_500);

/// How long the rest may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What one cut came to.
struct Cut {
    acknowledged: usize,
    ended: usize,
    sectors_lost: usize,
    flushes: u64,
}

#[test]
fn nothing_acknowledged_is_lost_when_the_power_goes() {
    if let Some(why) = power::missing() {
        println!("power on Postgres: SKIPPED: {why}");
        return;
    }
    let cuts: u32 = setting("STEPWELL_CRASH_CUTS", 2);
    let seed: u64 = setting("STEPWELL_CRASH_SEED", rand::rng().random());
    println!("power on Postgres: {cuts} cuts, STEPWELL_CRASH_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for number in 0..cuts {
        let began = Instant::now();
        alone(async {
            let cut = once(&mut random).await;
            println!(
                "power on Postgres: cut {number}: {} acknowledged starts and {} ends that were \
                 seen are there, {} flushes, {} sectors that were not flushed are lost, all ended \
                 right and once, {:.1?}",
                cut.acknowledged,
                cut.ended,
                cut.flushes,
                cut.sectors_lost,
                began.elapsed()
            );
        });
    }
}

async fn once(random: &mut StdRng) -> Cut {
    let mount = tempfile::tempdir().unwrap();
    let mut disk = Disk::new(DISK_BYTES).unwrap();
    disk.mount(mount.path()).unwrap();
    let server = Server::start_in(mount.path());
    let (store, shop) = (server.make("store").await, server.make("shop").await);
    make_applied(&shop).await;
    let load = Load::of(WORKFLOWS, PORTIONS, random);
    let logs = tempfile::tempdir().unwrap();
    let places = places(&server, logs.path());
    let app = open(&places).await;
    audit::install(&store).await;
    let mut cut = live(
        &disk,
        &server,
        (&places, &load, app.client(), &store),
        random,
    )
    .await;

    // All who used it are dead or dying.
    tokio::task::block_in_place(|| {
        disk.mount(mount.path()).unwrap();
        server.start_again();
    });
    let there = audit::ids(&store, false).await.unwrap();
    let lost: Vec<_> = cut.0.difference(&there).collect();
    assert!(lost.is_empty(), "acknowledged starts are lost: {lost:?}");
    let ended = audit::ids(&store, true).await.unwrap();
    let lost: Vec<_> = cut.1.difference(&ended).collect();
    assert!(lost.is_empty(), "ends that were seen are lost: {lost:?}");
    cut.2.acknowledged = cut.0.len();
    cut.2.ended = cut.1.len();

    let mut fleet = Fleet::start(places.clone()).await;
    let app = open(&places).await;
    for portion in 0..PORTIONS {
        load.start(portion, app.client(), random.random()).await;
    }
    all_succeed(&mut fleet, &store).await;
    fleet.end().await;
    app.shutdown().await;
    let audit = Audit::read(&store).await;
    proof::ends(&load, &audit);
    proof::transactions(&load, &audit::applied(&shop).await);
    proof::steps(&fleet::log(&places.log()), &audit);
    drop((store, shop, server));
    cut.2
}

fn places(server: &Server, logs: &Path) -> Places {
    Places {
        store: server::url(server.address(), "store"),
        shop: server::url(server.address(), "shop"),
        // Not on the disk that loses its power: it is what the proof goes by.
        directory: logs.to_owned(),
        lease: Some(Duration::from_secs(2)),
    }
}

async fn open(places: &Places) -> App {
    let app = App::builder(crash_tests::load::APPLICATION).database(&places.store);
    app.build().await.unwrap()
}

/// Lets a fleet work until the power goes. What was acknowledged, and what was seen to have ended.
async fn live(
    disk: &Disk,
    server: &Server,
    (places, load, client, store): (&Places, &Load, &Client, &PgPool),
    random: &mut StdRng,
) -> (BTreeSet<String>, BTreeSet<String>, Cut) {
    let postmaster = server.pid();
    let mut fleet = Fleet::start(places.clone()).await;
    let mut ended = BTreeSet::new();
    let seed = random.random();
    let starting = async {
        for portion in 0..PORTIONS {
            load.start(portion, client, seed).await;
            tokio::time::sleep(PAUSE).await;
        }
    };
    let looking = async {
        while disk.is_on() {
            // What others can see was flushed before.
            if let Some(seen) = audit::ids(store, true).await {
                ended = seen;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let life = LIFE_MAX.mul_f64(random.random());
    let doom = StdRng::from_rng(random);
    disk.cut_after(random.random_range(0..WRITES_MAX), doom);
    tokio::select! {
        // It starts what there is, and then waits for the power to go.
        () = async { starting.await; std::future::pending().await } => {}
        () = looking => {}
        () = tokio::time::sleep(life) => disk.cut(random),
    }
    let acknowledged = load.acknowledged();
    fleet.kill_all();
    // Nothing that the server still does reaches the disk.
    kill_process(postmaster, Signal::QUIT).unwrap();
    let cut = Cut {
        acknowledged: 0,
        ended: 0,
        sectors_lost: disk.lost(),
        flushes: disk.flushes(),
    };
    (acknowledged, ended, cut)
}

async fn all_succeed(fleet: &mut Fleet, store: &PgPool) {
    let began = Instant::now();
    loop {
        fleet.pass(Duration::from_millis(50)).await;
        match audit::unfinished(store).await {
            Some((0, _)) => return,
            left => assert!(began.elapsed() < PATIENCE, "not done: {left:?}"),
        }
    }
}
