//! Behind PgBouncer, which hands out another connection for each transaction. Where it is not
//! installed these tests say so and do nothing.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use stepwell_core::store::{ExecutorStore, Filter, Store, WorkflowStore};
use stepwell_postgres::PostgresStore;

use crate::server::{self, new_executor, unique, url};

/// A PgBouncer before the test server.
struct Pooler {
    process: Child,
    port: u16,
    _directory: tempfile::TempDir,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Pooler {
    fn start() -> Option<Self> {
        let program = installed()?;
        let config: tokio_postgres::Config = url().parse().unwrap();
        let host = match &config.get_hosts()[0] {
            tokio_postgres::config::Host::Tcp(name) => name.clone(),
            tokio_postgres::config::Host::Unix(path) => path.display().to_string(),
        };
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = port.local_addr().unwrap().port();
        let directory = tempfile::tempdir().unwrap();
        let users = directory.path().join("users");
        let password = config.get_password().unwrap_or_default();
        let password = String::from_utf8_lossy(password);
        fs::write(
            &users,
            format!("\"{}\" \"{password}\"\n", config.get_user().unwrap()),
        )
        .unwrap();
        let ini = directory.path().join("pgbouncer.ini");
        let settings = format!(
            "[databases]\n* = host={host} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\n\
             pool_mode = transaction\ndefault_pool_size = 5\n",
            config.get_ports().first().copied().unwrap_or(5432),
            users.display(),
        );
        fs::write(&ini, settings).unwrap();
        Some(Self {
            process: run(&program, directory.path(), &ini),
            port,
            _directory: directory,
        })
    }

    /// The test database through it.
    fn url(&self, parameters: &str) -> String {
        let config: tokio_postgres::Config = url().parse().unwrap();
        let (user, database) = (config.get_user().unwrap(), config.get_dbname().unwrap());
        format!(
            "postgres://{user}@127.0.0.1:{}/{database}?{parameters}",
            self.port
        )
    }
}

fn installed() -> Option<PathBuf> {
    let places = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].map(PathBuf::from);
    let found = places.into_iter().find(|path| path.exists());
    if found.is_none() {
        eprintln!("skipped: PgBouncer is not installed");
    }
    found
}

/// It refuses to run as root, as which tests may run.
fn run(program: &Path, directory: &Path, ini: &Path) -> Child {
    let is_root = fs::metadata("/proc/self").is_ok_and(|it| {
        use std::os::unix::fs::MetadataExt;
        it.uid() == 0
    });
    let mut command = if is_root {
        let owner = Command::new("chown")
            .args(["-R", "nobody"])
            .arg(directory)
            .status();
        assert!(owner.unwrap().success());
        let mut command = Command::new(program);
        command.args(["-u", "nobody"]);
        command
    } else {
        Command::new(program)
    };
    command.arg(ini).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// Opens a store as soon as the pooler takes connections.
async fn open(url: &str) -> PostgresStore {
    for _ in 0..500 {
        match PostgresStore::open(url).await {
            Ok(store) => return store,
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    }
    PostgresStore::open(url).await.unwrap()
}

async fn work(store: &PostgresStore) {
    let executor = new_executor();
    store.register(executor.clone()).await.unwrap();
    let starts = (0..50).map(|number| {
        let id = format!("order-{number}");
        let (store, executor) = (store, executor.id.clone());
        async move { server::start(store, &executor, &id).await }
    });
    futures_util::future::join_all(starts).await;
    let all = Filter {
        limit: 100,
        ..Filter::default()
    };
    assert_eq!(store.list(all).await.unwrap().len(), 50);
    store.retire(&executor.id).await.unwrap();
}

/// Nobody says that there is a pooler: it is found out.
#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_is_noticed() {
    let Some(pooler) = Pooler::start() else {
        return;
    };
    let schema = unique("pooled");
    let store = open(&pooler.url(&format!("schema={schema}"))).await;
    work(&store).await;

    let direct = format!("{}?schema={schema}", url());
    let direct = PostgresStore::open(&direct).await.unwrap();
    while !store.news().await.unwrap().is_nothing() {
        tokio::task::yield_now().await;
    }
    while !direct.news().await.unwrap().is_nothing() {
        tokio::task::yield_now().await;
    }
    server::enqueue(&direct, "news-1").await;
    while store.news().await.unwrap().is_nothing() {
        tokio::task::yield_now().await;
    }
    server::enqueue(&store, "news-2").await;
    while direct.news().await.unwrap().is_nothing() {
        tokio::task::yield_now().await;
    }
}

/// Somebody says that there is none, or one comes later: statements that vanish are done without.
#[tokio::test(flavor = "multi_thread")]
async fn statements_that_vanish_are_done_without() {
    let Some(pooler) = Pooler::start() else {
        return;
    };
    let parameters = format!("schema={}&pooled=false", unique("vanished"));
    let store = open(&pooler.url(&parameters)).await;
    work(&store).await;
}
