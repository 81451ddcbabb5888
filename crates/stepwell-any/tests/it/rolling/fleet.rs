//! Processes of both releases: each with a runtime of its own, so that one can die without a word.

use std::{future::Future, time::Duration};

use stepwell::{App, Client, store::Filter};
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
};

use super::{
    Dice,
    new::{self, New},
    old::{self, Old},
    specs, until,
};

/// How many processes there are at once, at most.
const PROCESSES_MAX: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Release {
    Old,
    New,
}

enum Shop {
    Old(App<Old>),
    New(App<New>),
}

struct Process {
    shop: Shop,
    runtime: Own,
}

/// A runtime that ends at once, with whatever runs on it, when it is dropped.
struct Own(Option<Runtime>);

impl Own {
    fn new() -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        Self(Some(runtime.unwrap()))
    }

    fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.0.as_ref().unwrap().spawn(task)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Process {
    fn release(&self) -> Release {
        match self.shop {
            Shop::Old(_) => Release::Old,
            Shop::New(_) => Release::New,
        }
    }

    async fn launch(url: &str, release: Release) -> Self {
        let runtime = Own::new();
        let builder = App::builder("shop")
            .database(url)
            .lease(Duration::from_secs(3))
            .grace(Duration::from_millis(200));
        let shop = runtime.spawn(async move {
            match release {
                Release::Old => {
                    let builder = builder.version("1").state(Old);
                    Shop::Old(builder.launch().await.unwrap())
                }
                Release::New => {
                    let builder = builder.version("2").state(New);
                    Shop::New(builder.launch().await.unwrap())
                }
            }
        });
        let shop = shop.await.unwrap();
        Self { shop, runtime }
    }

    async fn stop(self) {
        let stopped = match self.shop {
            Shop::Old(app) => self.runtime.spawn(async move { app.shutdown().await }),
            Shop::New(app) => self.runtime.spawn(async move { app.shutdown().await }),
        };
        stopped.await.unwrap();
    }

    /// Starts a workflow of one of four kinds.
    async fn start(&self, kind: usize, id: String, number: u64) {
        let started = match &self.shop {
            Shop::Old(app) => {
                let app = app.clone();
                self.runtime.spawn(async move {
                    match kind {
                        0 => app.start(old::order(number).id(id)).await.map(drop),
                        1 => {
                            let call = old::order(number).id(id).queue(&old::LANES);
                            app.start(call).await.map(drop)
                        }
                        _ => app.start(old::reshaped(number).id(id)).await.map(drop),
                    }
                })
            }
            Shop::New(app) => {
                let app = app.clone();
                self.runtime.spawn(async move {
                    match kind {
                        0 => app.start(new::order(number).id(id)).await.map(drop),
                        1 => {
                            let call = new::order(number).id(id).queue(&new::LANES);
                            app.start(call).await.map(drop)
                        }
                        2 => app.start(new::reshaped(number).id(id)).await.map(drop),
                        _ => app.start(new::newcomer(number).id(id)).await.map(drop),
                    }
                })
            }
        };
        started.await.unwrap().unwrap();
    }
}

/// The processes, and what they must have come to.
pub(super) struct Fleet {
    url: String,
    client: Client,
    processes: Vec<Process>,
    started: Vec<(String, u64)>,
    /// Whether the new release has been there: from then on its word counts.
    has_new: bool,
    /// Whether the new release has used the queue.
    has_new_limits: bool,
    /// Whether an old process was there all the time since the first new one.
    has_old_throughout: bool,
}

impl Fleet {
    pub(super) fn new(url: String, client: Client) -> Self {
        Self {
            url,
            client,
            processes: Vec::new(),
            started: Vec::new(),
            has_new: false,
            has_new_limits: false,
            has_old_throughout: true,
        }
    }

    pub(super) fn started(&self) -> Vec<String> {
        self.started.iter().map(|(id, _)| id.clone()).collect()
    }

    pub(super) async fn launch(&mut self, release: Release) {
        if self.processes.len() == PROCESSES_MAX {
            self.processes.remove(0).stop().await;
        }
        self.note_who_is_there();
        self.processes
            .push(Process::launch(&self.url, release).await);
        self.has_new |= release == Release::New;
        self.note_who_is_there();
    }

    fn note_who_is_there(&mut self) {
        let is_there = |release| self.processes.iter().any(|it| it.release() == release);
        if self.has_new && !is_there(Release::Old) {
            self.has_old_throughout = false;
        }
    }

    pub(super) async fn start_something(&mut self, dice: &mut Dice) {
        if self.processes.is_empty() {
            return;
        }
        let process = &self.processes[dice.below(self.processes.len())];
        let kind = dice.below(4);
        let number = u64::try_from(self.started.len()).unwrap();
        let id = format!("work-{number}");
        process.start(kind, id.clone(), number).await;
        self.has_new_limits |= kind == 1 && process.release() == Release::New;
        self.started.push((id, number));
    }

    pub(super) async fn stop(&mut self, dice: &mut Dice) {
        if !self.processes.is_empty() {
            let process = self.processes.remove(dice.below(self.processes.len()));
            process.stop().await;
            self.note_who_is_there();
        }
    }

    /// Its tasks are dropped where they stand.
    pub(super) fn kill(&mut self, dice: &mut Dice) {
        if !self.processes.is_empty() {
            drop(self.processes.remove(dice.below(self.processes.len())));
            self.note_who_is_there();
        }
    }

    pub(super) async fn stop_all(&mut self, release: Release) {
        let (gone, stay): (Vec<_>, Vec<_>) = std::mem::take(&mut self.processes)
            .into_iter()
            .partition(|it| it.release() == release);
        self.processes = stay;
        self.note_who_is_there();
        for process in gone {
            process.stop().await;
        }
    }

    /// What the newest release has said holds, whoever came or went since.
    pub(super) async fn nothing_is_turned_back(&self, when: &str) {
        let specs = specs(&self.client).await;
        let spec = |name: &str| specs.get(name).map(String::as_str);
        assert_eq!(spec("steady"), Some("@every 1s"), "{when}");
        if self.has_new {
            assert_eq!(spec("changing"), Some("@every 2s"), "{when}");
            assert_eq!(spec("coming"), Some("@every 1s"), "{when}");
        }
        if self.has_old_throughout {
            assert_eq!(spec("leaving"), Some("@every 1s"), "{when}");
        }
        if self.has_new_limits {
            let queue = self.client.queue("lanes").await.unwrap();
            assert_eq!(queue.limits.concurrency, Some(3), "{when}");
        }
    }

    /// Every result is there, and is the right one.
    pub(super) async fn everything_ran_once(&self, client: &Client) {
        for (id, number) in &self.started {
            let result = client.wait(id).await.unwrap().result.unwrap();
            let value: u64 = result.payload().read().unwrap();
            assert_eq!(value, number + 2, "{id}");
        }
    }

    /// New ticks come of all that is declared, and each has one workflow that ends.
    pub(super) async fn schedules_tick(&self, client: &Client) {
        for name in ["steady", "changing", "coming"] {
            let before = ticks(client, name).await;
            let what = format!("`{name}` ticks");
            until(&what, || async { ticks(client, name).await > before + 1 }).await;
        }
    }
}

/// How many ticks of a schedule have ended well: a thousand at the most.
async fn ticks(client: &Client, name: &str) -> usize {
    let filter = Filter {
        name: Some(name.to_owned()),
        limit: 1_000,
        ..Filter::default()
    };
    let rows = client.list(filter).await.unwrap();
    rows.into_iter().filter(|row| row.state.has_ended()).count()
}
