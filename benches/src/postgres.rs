//! The Postgres that the peers use: one that is made for the run and removed after it, or the one
//! that `STEPWELL_BENCH_POSTGRES` names.

use std::{
    env, fs,
    net::TcpListener,
    os::unix::{fs::PermissionsExt as _, fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{driver::Error, driver::process, stop};

/// Names a server to use instead: `postgres://user:password@host:5432`.
const VARIABLE: &str = "STEPWELL_BENCH_POSTGRES";

/// Durable, as the server is by default; nothing else is tuned.
const SETTINGS: [&str; 4] = [
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "unix_socket_directories=",
];

pub(crate) struct Postgres {
    /// Without a database.
    url: String,
    /// If it was started here.
    server: Option<Server>,
}

struct Server {
    process: Child,
    /// Stops it, once run.
    stop: Command,
    /// Its files, if they could not be with the others.
    _elsewhere: Option<TempDir>,
}

/// Where root's server keeps its files: it is run by another user, whom root's own directories may
/// be closed to. On the disk, unlike `/tmp` on many machines.
const OPEN_TO_ALL: &str = "/var/tmp";

impl Postgres {
    /// Starts a server whose files are below the directory.
    pub(crate) fn start(directory: &Path) -> Result<Self, Error> {
        if let Ok(url) = env::var(VARIABLE) {
            let url = url.trim_end_matches('/').to_owned();
            return Ok(Self { url, server: None });
        }
        Self::start_with(directory, &[])
    }

    /// Starts a server that counts statements; none where somebody else's is used.
    pub(crate) fn counting(directory: &Path) -> Result<Option<Self>, Error> {
        if env::var_os(VARIABLE).is_some() {
            return Ok(None);
        }
        let counts = ["shared_preload_libraries=pg_stat_statements"];
        Self::start_with(directory, &counts).map(Some)
    }

    fn start_with(directory: &Path, more: &[&str]) -> Result<Self, Error> {
        let programs = programs()?;
        let user = user()?;
        let elsewhere = user
            .map(|_| tempfile::tempdir_in(OPEN_TO_ALL))
            .transpose()?;
        let home = elsewhere.as_ref().map_or(directory, TempDir::path);
        let data = home.join("postgres");
        fs::create_dir(&data)?;
        if let Some((uid, gid)) = user {
            // The server refuses to be root, and has to get into the directory that is ours.
            fs::set_permissions(home, fs::Permissions::from_mode(0o755))?;
            chown(&data, Some(uid), Some(gid))?;
        }
        let mut initdb = run_as(&programs.join("initdb"), user);
        let initdb = initdb.args(["--auth=trust", "--username=postgres", "--pgdata"]);
        let made = initdb.arg(&data).output()?;
        if !made.status.success() {
            return Err(format!("initdb: {}", String::from_utf8_lossy(&made.stderr)).into());
        }
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut postgres = run_as(&programs.join("postgres"), user);
        postgres.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-D"]);
        postgres
            .arg(&data)
            .args(SETTINGS.map(|setting| format!("--{setting}")))
            .args(more.iter().map(|setting| format!("--{setting}")));
        let log = fs::File::create(directory.join("postgres.log"))?;
        let process = postgres.stdout(Stdio::null()).stderr(log).spawn()?;
        let mut stop = run_as(&programs.join("pg_ctl"), user);
        stop.args(["stop", "--silent", "--mode=immediate", "--pgdata"])
            .arg(&data);
        let postgres = Self {
            url: format!("postgres://postgres@127.0.0.1:{port}"),
            server: Some(Server {
                process,
                stop,
                _elsewhere: elsewhere,
            }),
        };
        postgres.wait_until_ready(&programs, port)?;
        Ok(postgres)
    }

    fn wait_until_ready(&self, programs: &Path, port: u16) -> Result<(), Error> {
        let begun = Instant::now();
        let port = port.to_string();
        while begun.elapsed() < Duration::from_secs(30) {
            let mut ready = Command::new(programs.join("pg_isready"));
            let ready = ready.args(["-q", "-h", "127.0.0.1", "-p", &port]);
            if ready.status()?.success() {
                return Ok(());
            }
            stop::check()?;
            thread::sleep(Duration::from_millis(50));
        }
        Err("the Postgres that was started does not answer".into())
    }

    /// The URL of a database, which need not exist.
    pub(crate) fn database(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }

    /// The CPU time of the server's processes, if it was started here.
    pub(crate) fn cpu(&self) -> Option<Duration> {
        let server = self.server.as_ref()?.process.id();
        let processes = fs::read_dir("/proc").ok()?.filter_map(|entry| {
            let stat = fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
            let pid: u32 = stat.split(' ').next()?.parse().ok()?;
            let parent: u32 = process::after_the_name(&stat).nth(1)?.parse().ok()?;
            (pid == server || parent == server).then(|| {
                // The server's own line has what its children had used that have ended.
                process::cpu_in(&stat, if pid == server { 4 } else { 2 })
            })
        });
        Some(processes.sum())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let Some(server) = &mut self.server else {
            return;
        };
        // Its files are removed next: it need not put them in order.
        if !server.stop.status().is_ok_and(|status| status.success()) {
            drop(server.process.kill());
        }
        drop(server.process.wait());
    }
}

/// Where the server's programs are. Debian keeps them out of the path.
fn programs() -> Result<PathBuf, Error> {
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut debian: Vec<PathBuf> = debian
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .collect();
    debian.sort();
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path)
        .chain(debian.into_iter().rev())
        // A link leads to where the others are, too.
        .filter_map(|directory| directory.join("initdb").canonicalize().ok())
        .find_map(|initdb| Some(initdb.parent()?.to_owned()));
    found.ok_or_else(|| {
        format!(
            "the peers need PostgreSQL, and there is no `initdb`\nhint: install it \
             (Debian and Ubuntu: apt-get install postgresql; macOS: brew install postgresql), \
             or name a server in {VARIABLE}=postgres://user:password@host:5432"
        )
        .into()
    })
}

/// The user and group to run the server as, if we are root.
fn user() -> Result<Option<(u32, u32)>, Error> {
    let id = |arguments: &[&str]| -> Result<u32, Error> {
        let output = Command::new("id").args(arguments).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        text.trim().parse().map_err(|_| {
            "the Postgres server refuses to be root, and there is no user `postgres`".into()
        })
    };
    if id(&["-u"])? != 0 {
        return Ok(None);
    }
    Ok(Some((id(&["-u", "postgres"])?, id(&["-g", "postgres"])?)))
}

fn run_as(program: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    // Not the directory that we are in, which the user may not see.
    command.current_dir("/");
    command
}
