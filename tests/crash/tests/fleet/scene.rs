//! A fleet, its server, and what stands between them, while things happen to them.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use crash_tests::{
    load::APPLICATION,
    log::Line,
    proxy::{Break, Direction, Fault, Proxy},
};
use rand::{Rng, rngs::StdRng};
use sqlx::PgPool;
use stepwell::App;
use tempfile::TempDir;

use crate::{
    audit::{self, Audit},
    fleet::{self, Fleet, Kill, MEMBERS, Places},
    load::{Load, Told},
    pooler::Pooler,
    server::{self, Server},
    trouble::{Between, Plan, Trouble, make_applied},
};

/// How long the fleet may take to bring everything to an end after the last trouble.
const PATIENCE: Duration = Duration::from_secs(90);

/// The longest time between two troubles.
const PAUSE_MAX: Duration = Duration::from_millis(600);

/// How many connections one trouble cuts, and after how many bytes at most.
const CUTS: usize = 6;
const BYTES_MAX: usize = 3_000;

/// How long a connection may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(4);

/// What an executor has if nothing is said.
const LEASE_DEFAULT: Duration = Duration::from_secs(10);

/// What stands in the way, alive as long as the test.
struct Way {
    proxies: Vec<Proxy>,
    _pooler: Option<Pooler>,
    store: String,
    shop: String,
}

/// Everything that is there while a fleet is in trouble.
pub(crate) struct Scene {
    server: Server,
    /// Connections that nothing stands between.
    store: PgPool,
    shop: PgPool,
    way: Way,
    fleet: Fleet,
    app: App,
    places: Places,
    place: TempDir,
    random: StdRng,
    restarts: usize,
    lease: Duration,
}

/// What is left when all is over.
pub(crate) struct Left {
    pub(crate) audit: Audit,
    /// How often each transaction was applied, by workflow and operation.
    pub(crate) applied: BTreeMap<(String, String), i64>,
    /// What the processes did.
    pub(crate) lines: Vec<Line>,
    pub(crate) kills: Vec<Kill>,
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
    /// Everything, before anything happens; none where something is not installed.
    pub(crate) async fn set(plan: Plan, random: StdRng) -> Option<Self> {
        let server = Server::start();
        let (store, shop) = (server.make("store").await, server.make("shop").await);
        let way = way(&server, plan.between).await?;
        make_applied(&shop).await;
        let app = App::builder(APPLICATION).database(&way.store).build();
        let app = app.await.unwrap();
        audit::install(&store).await;
        let place = tempfile::Builder::new()
            .prefix("stepwell-fleet-log-")
            .tempdir();
        let place = place.unwrap();
        let places = Places {
            store: way.store.clone(),
            shop: way.shop.clone(),
            directory: place.path().to_owned(),
            lease: plan.lease,
        };
        Some(Self {
            fleet: Fleet::start(places.clone()).await,
            server,
            store,
            shop,
            way,
            app,
            places,
            place,
            random,
            restarts: 0,
            lease: plan.lease.unwrap_or(LEASE_DEFAULT),
        })
    }

    /// Starts the load portion by portion, and lets something happen in between.
    pub(crate) async fn happen(&mut self, load: &Load, troubles: &[Trouble], times: usize) -> Told {
        let mut told = Told::default();
        for portion in 0..=times {
            // Something happens while they are started, too.
            let (client, seed) = (self.app.client().clone(), self.random.random());
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
    pub(crate) async fn come_to_an_end(&mut self, load: &Load) -> Result<(), String> {
        let began = Instant::now();
        loop {
            self.fleet.pass(Duration::from_millis(50)).await;
            match audit::unfinished(&self.store).await {
                Some((0, _)) => return Ok(()),
                Some((_, 1..)) => {
                    let lost = audit::lost(&self.store).await;
                    return Err(format!("did not succeed: {lost:#?}"));
                }
                Some((left, _)) if began.elapsed() > PATIENCE => {
                    let all = load.workflows();
                    return Err(format!("{left} of {all} are not done after {PATIENCE:?}"));
                }
                _ => {}
            }
        }
    }

    /// What has happened, in words.
    pub(crate) fn counts(&self) -> String {
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

    /// Ends everything in order and reads what is left.
    pub(crate) async fn end(mut self) -> Left {
        let kills = std::mem::take(&mut self.fleet.kills);
        self.fleet.end().await;
        self.app.shutdown().await;
        Left {
            audit: Audit::read(&self.store).await,
            applied: audit::applied(&self.shop).await,
            lines: fleet::log(&self.places.log()),
            kills,
        }
    }

    /// Keeps the logs for whoever looks for what went wrong.
    pub(crate) fn keep(self) -> PathBuf {
        self.place.keep()
    }
}
