//! The Postgres of one test. The test may do to it what it wants: restart it without a word, too.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use rand::Rng;
use rustix::process::{Pid, geteuid};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tempfile::TempDir;

/// Ports that nobody is given by chance.
const PORTS: std::ops::Range<u16> = 11_000..32_000;
const PORT_TRIES: u32 = 5;

/// A commit is answered when it is in the log, as always. What is flushed to the disk decides only
/// what a power cut leaves, which is tested elsewhere.
const NOT_FLUSHED: [&str; 2] = ["fsync=off", "full_page_writes=off"];

/// `track_commit_timestamp` tells afterwards in which order things became visible.
const SETTINGS: [&str; 4] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=200",
    "track_commit_timestamp=on",
];

/// The log is written in small pieces: the disk is small.
const SMALL: [&str; 2] = ["max_wal_size=16MB", "min_wal_size=2MB"];

/// A running server. Dropped, it is gone with its files.
pub(crate) struct Server {
    programs: PathBuf,
    data: PathBuf,
    port: u16,
    settings: Vec<&'static str>,
    _directory: Option<TempDir>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("stepwell-fleet-")
            .tempdir()
            .unwrap();
        // The server refuses to be root, and must come to its files.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let data = directory.path().join("data");
        let settings = SETTINGS.into_iter().chain(NOT_FLUSHED).collect();
        Self::make_at(data, settings, Some(directory))
    }

    /// A server that keeps its files in a directory of the caller, and flushes them.
    pub(crate) fn start_in(directory: &Path) -> Self {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
        let settings = SETTINGS.into_iter().chain(SMALL).collect();
        Self::make_at(directory.join("data"), settings, None)
    }

    fn make_at(data: PathBuf, settings: Vec<&'static str>, directory: Option<TempDir>) -> Self {
        fs::create_dir(&data).unwrap();
        let mut server = Self {
            programs: programs(),
            data,
            port: 0,
            settings,
            _directory: directory,
        };
        server.initialise();
        for _ in 0..PORT_TRIES {
            server.port = rand::rng().random_range(PORTS);
            if server.control(&["start"]) {
                return server;
            }
        }
        panic!("no port of {PORT_TRIES} was free");
    }

    fn initialise(&self) {
        if geteuid().is_root() {
            let status = Command::new("chown")
                .arg("postgres")
                .arg(&self.data)
                .status();
            assert!(status.unwrap().success());
        }
        let mut initdb = as_owner(&self.programs.join("initdb"));
        if self.settings.contains(&NOT_FLUSHED[0]) {
            initdb.arg("--no-sync");
        }
        initdb
            .args(["--auth=trust", "--username=postgres", "--wal-segsize=1"])
            .args(["--encoding=UTF8", "--no-locale", "--pgdata"])
            .arg(&self.data);
        let made = initdb.current_dir("/").output().unwrap();
        assert!(made.status.success(), "{made:?}");
    }

    /// The process from which all others of the server come.
    pub(crate) fn pid(&self) -> Pid {
        let file = fs::read_to_string(self.data.join("postmaster.pid")).unwrap();
        let pid = file.lines().next().unwrap().trim().parse().unwrap();
        Pid::from_raw(pid).unwrap()
    }

    /// Starts it after the power was gone: it recovers from its log.
    pub(crate) fn start_again(&self) {
        // The process of that number may be anybody's by now.
        fs::remove_file(self.data.join("postmaster.pid")).unwrap();
        assert!(self.control(&["start"]));
    }

    /// Ends every process of the server at once, as a crash of it does, and starts it anew.
    pub(crate) fn restart_at_once(&self) {
        assert!(self.control(&["restart", "--mode=immediate"]));
    }

    fn control(&self, what: &[&str]) -> bool {
        let settings = self.settings.iter().map(|it| format!("-c {it}"));
        let settings: Vec<String> = settings.collect();
        let mut pg_ctl = as_owner(&self.programs.join("pg_ctl"));
        pg_ctl
            .args(what)
            .args(["--silent", "--wait", "--pgdata"])
            .arg(&self.data)
            .arg("--log")
            .arg(self.data.join("server.log"))
            .arg("--options")
            .arg(format!("{} -p {}", settings.join(" "), self.port));
        pg_ctl.current_dir("/").status().unwrap().success()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// Makes a database, and answers a connection to it that nothing stands between.
    pub(crate) async fn make(&self, database: &str) -> PgPool {
        let server = self.connect("postgres");
        let make = format!("create database {database}");
        let made = sqlx::query(sqlx::AssertSqlSafe(make)).execute(&server);
        made.await.unwrap();
        self.connect(database)
    }

    fn connect(&self, database: &str) -> PgPool {
        let options = PgPoolOptions::new()
            .max_connections(2)
            .acquire_timeout(Duration::from_secs(5));
        options
            .connect_lazy(&url(self.address(), database))
            .unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.control(&["stop", "--mode=immediate"]);
    }
}

/// A database, at the server itself or at what stands before it.
pub(crate) fn url(at: SocketAddr, database: &str) -> String {
    format!("postgres://postgres@{at}/{database}?sslmode=disable")
}

/// A command as somebody whom Postgres accepts.
fn as_owner(program: &Path) -> Command {
    if !geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program);
    command
}

/// Where `initdb` and `pg_ctl` are: the newest of those that are installed.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let version = |path: &PathBuf| -> Option<u32> { path.file_name()?.to_str()?.parse().ok() };
    let installed = versions
        .map_while(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.join("bin/initdb").exists());
    let newest = installed.max_by_key(version);
    newest
        .expect("no PostgreSQL server is installed; on Debian: apt-get install postgresql")
        .join("bin")
}
