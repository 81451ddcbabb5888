//! What happens to a fleet, by a seed.

use std::{
    env,
    fmt::Write,
    str::FromStr,
    sync::Mutex,
    time::{Duration, Instant},
};

use crash_tests::proxy::{Break, Direction, Fault, Proxy};
use rand::{Rng, SeedableRng, rngs::StdRng};
use sqlx::PgPool;
use stepwell::{App, Client};

use crate::{
    audit::{self, Audit},
    fleet::{self, Fleet, MEMBERS, Places},
    load::{Load, Told},
    pooler::Pooler,
    proof,
    server::{self, Server},
};

/// How many workflows are started, unless `STEPWELL_FLEET_WORKFLOWS` says it.
const WORKFLOWS: usize = 150;

/// How long the fleet may take to bring everything to an end after the last trouble.
const PATIENCE: Duration = Duration::from_secs(90);

/// The longest time between two troubles.
const PAUSE_MAX: Duration = Duration::from_millis(600);

/// How many connections one trouble cuts, and after how many bytes at most.
const CUTS: usize = 6;
const BYTES_MAX: usize = 3_000;

/// How long a connection may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(4);

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

/// What stands in the way, alive as long as the test.
struct Way {
    proxies: Vec<Proxy>,
    _pooler: Option<Pooler>,
    store: String,
    shop: String,
}

/// Everything that is there while a fleet is in trouble.
struct Scene {
    server: Server,
    way: Way,
    fleet: Fleet,
    client: Client,
    random: StdRng,
    restarts: usize,
    lease: Duration,
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
    let _alone = MACHINE.lock().unwrap_or_else(|failed| failed.into_inner());
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
    println!(
        "fleet {}: {workflows} workflows, STEPWELL_CRASH_SEED={seed}",
        plan.name
    );
    let began = Instant::now();
    let mut random = StdRng::seed_from_u64(seed);
    let times = (plan.times * workflows / WORKFLOWS).max(1);
    let load = Load::of(workflows, times + 1, &mut random);
    let server = Server::start();
    let (store, shop) = (server.make("store").await, server.make("shop").await);
    let Some(way) = way(&server, plan.between).await else {
        return;
    };
    make_applied(&shop).await;
    let app = App::builder(crash_tests::load::APPLICATION)
        .database(&way.store)
        .build()
        .await
        .unwrap();
    audit::install(&store).await;
    let place = tempfile::Builder::new()
        .prefix("stepwell-fleet-log-")
        .tempdir()
        .unwrap();
    let places = Places {
        store: way.store.clone(),
        shop: way.shop.clone(),
        directory: place.path().to_owned(),
        lease: plan.lease,
    };
    let mut scene = Scene {
        fleet: Fleet::start(places.clone()).await,
        client: app.client().clone(),
        server,
        way,
        random,
        restarts: 0,
        lease: plan.lease.unwrap_or(Duration::from_secs(10)),
    };
    let told = scene.happen(&load, plan.troubles, times).await;
    let result = scene.come_to_an_end(&load, &store).await;
    if let Err(why) = result {
        println!("what is left is in {}", place.keep().display());
        panic!("seed {seed}: {why}");
    }
    let counts = scene.counts();
    let kills = std::mem::take(&mut scene.fleet.kills);
    scene.fleet.end().await;
    app.shutdown().await;
    let audit = Audit::read(&store).await;
    let lines = fleet::log(&places.log());
    let mut report = counts + &told.report();
    let ended = proof::ends(&load, &audit);
    let transactions = proof::transactions(&load, &audit::applied(&shop).await);
    let steps = proof::steps(&lines, &audit);
    if !may_lose_leases(plan.troubles) {
        assert_eq!(steps.without_lease, 0, "nobody was cut off, nobody stopped");
    }
    let limits = proof::limits(&audit);
    write!(
        report,
        "; {ended} workflows ended right, {transactions} transactions once, {} letters once and in \
         order, {steps:?}, {limits:?}, take-overs {:?}",
        proof::received(&load),
        audit.takeovers
    )
    .unwrap();
    let latencies = proof::take_overs(&audit, &kills);
    if let (Some(slowest), Some(median)) = (latencies.last(), latencies.get(latencies.len() / 2)) {
        write!(
            report,
            ", kill to take-over of {}: median {median:.1?}, slowest {slowest:.1?}",
            latencies.len()
        )
        .unwrap();
    }
    println!("fleet {}: {report}, {:.1?}", plan.name, began.elapsed());
}

/// Whether a process may have lost its lease while it ran.
fn may_lose_leases(troubles: &[Trouble]) -> bool {
    let costs_leases = |it: &Trouble| !matches!(it, Trouble::Kill);
    troubles.iter().any(costs_leases)
}

/// The user's table.
pub(crate) async fn make_applied(shop: &PgPool) {
    let table = "create table applied (workflow_id text not null, operation text not null)";
    sqlx::query(table).execute(shop).await.unwrap();
}

/// None where something is not installed.
async fn way(server: &Server, between: Between) -> Option<Way> {
    let mut way = Way {
        proxies: Vec::new(),
        _pooler: None,
        store: String::new(),
        shop: String::new(),
    };
    let (mut to_store, mut to_shop) = (server.address(), server.address());
    if matches!(between, Between::Pooler | Between::ProxyAndPooler) {
        let pooler = Pooler::start(server.address()).await?;
        to_store = pooler.address();
        way._pooler = Some(pooler);
    }
    if matches!(between, Between::Proxy | Between::ProxyAndPooler) {
        for to in [&mut to_store, &mut to_shop] {
            let proxy = Proxy::start(*to).await.unwrap();
            *to = proxy.address();
            way.proxies.push(proxy);
        }
    }
    way.store = server::url(to_store, "store");
    way.shop = server::url(to_shop, "shop");
    Some(way)
}

impl Scene {
    /// Starts the load portion by portion, and lets something happen in between.
    async fn happen(&mut self, load: &Load, troubles: &[Trouble], times: usize) -> Told {
        let mut told = Told::default();
        for portion in 0..=times {
            // Something happens while they are started, too.
            let (client, seed) = (self.client.clone(), self.random.random());
            let starting = load.start(portion, &client, seed);
            let trouble = async {
                let pause = PAUSE_MAX.mul_f64(self.random.random());
                self.fleet.pass(pause).await;
                if portion < times {
                    let trouble = troubles[self.random.random_range(0..troubles.len())];
                    self.strike(trouble).await;
                }
            };
            let (one, ()) = tokio::join!(starting, trouble);
            told.add(one);
        }
        self.fleet.wake_all().await;
        told
    }

    async fn strike(&mut self, trouble: Trouble) {
        let index = self.random.random_range(0..MEMBERS);
        match trouble {
            Trouble::Kill => self.fleet.kill(index),
            Trouble::Stop => {
                let length = self.lease.mul_f64(self.random.random_range(1.2..2.0));
                self.fleet.stop(index, length).await;
            }
            Trouble::Restart => {
                tokio::task::block_in_place(|| self.server.restart_at_once());
                self.restarts += 1;
            }
            Trouble::Cut => self.cut(|_| Break::Reset),
            Trouble::Silence => self
                .cut(|random| Break::Silence(SILENCE_MAX.mul_f64(random.random_range(0.1..1.0)))),
        }
    }

    /// Cuts some connections, each at a byte of its own.
    fn cut(&mut self, how: impl Fn(&mut StdRng) -> Break) {
        for _ in 0..CUTS {
            let direction = match self.random.random() {
                true => Direction::ToServer,
                false => Direction::ToClient,
            };
            let fault = Fault {
                direction,
                after: self.random.random_range(0..BYTES_MAX),
                how: how(&mut self.random),
            };
            let proxies = &self.way.proxies;
            let proxy = &proxies[self.random.random_range(0..proxies.len())];
            proxy.strike(self.random.random_range(0..1_000), fault);
        }
    }

    /// Waits until all have succeeded.
    async fn come_to_an_end(&mut self, load: &Load, store: &PgPool) -> Result<(), String> {
        let began = Instant::now();
        loop {
            self.fleet.pass(Duration::from_millis(50)).await;
            match audit::unfinished(store).await {
                Some((0, _)) => return Ok(()),
                Some((_, lost @ 1..)) => return Err(format!("{lost} did not succeed")),
                Some((left, _)) if began.elapsed() > PATIENCE => {
                    let all = load.workflows();
                    return Err(format!("{left} of {all} are not done after {PATIENCE:?}"));
                }
                _ => {}
            }
        }
    }

    fn counts(&self) -> String {
        let struck = self.way.proxies.iter().map(Proxy::struck);
        let (reset, silenced) = struck.fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        format!(
            "{} kills ({} executors could not begin at once), {} stopped beyond the lease, {} \
             restarts of the server, {reset} connections reset, {silenced} silenced",
            self.fleet.kills.len(),
            self.fleet.not_begun,
            self.fleet.zombies,
            self.restarts,
        )
    }
}

impl Told {
    fn report(&self) -> String {
        format!(
            "; {} started ({} answers were lost), {} started again, {} requests repeated, {} \
             letters sent",
            self.made + self.lost_answers,
            self.lost_answers,
            self.again,
            self.repeated,
            self.letters
        )
    }
}
