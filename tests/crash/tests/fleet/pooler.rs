//! A PgBouncer that hands out another connection for each transaction.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::geteuid;
use tempfile::TempDir;

const PROGRAMS: [&str; 2] = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"];

/// Fewer connections than the fleet has: they are shared.
const POOL: u32 = 8;

/// A running pooler. Dropped, it is gone.
pub(crate) struct Pooler {
    process: Child,
    address: SocketAddr,
    _directory: TempDir,
}

impl Pooler {
    /// None where it is not installed, which is said loudly.
    pub(crate) async fn start(server: SocketAddr) -> Option<Self> {
        let program = PROGRAMS
            .map(PathBuf::from)
            .into_iter()
            .find(|it| it.exists());
        let Some(program) = program else {
            println!("fleet: SKIPPED the pooler: PgBouncer is not installed (pgbouncer in Debian)");
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        // Free a moment ago; PgBouncer cannot choose one itself.
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = port.local_addr().unwrap();
        drop(port);
        let users = directory.path().join("users");
        fs::write(&users, "\"postgres\" \"\"\n").unwrap();
        let settings = format!(
            "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\n\
             pool_mode = transaction\ndefault_pool_size = {POOL}\nserver_login_retry = 1\n",
            server.ip(),
            server.port(),
            address.port(),
            users.display(),
        );
        let file = directory.path().join("pgbouncer.ini");
        fs::write(&file, settings).unwrap();
        let pooler = Self {
            process: run(&program, &directory, &file),
            address,
            _directory: directory,
        };
        pooler.listens().await;
        Some(pooler)
    }

    async fn listens(&self) {
        for _ in 0..500 {
            if TcpStream::connect(self.address).is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("PgBouncer does not listen at {}", self.address);
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// It refuses to be root.
fn run(program: &PathBuf, directory: &TempDir, file: &PathBuf) -> Child {
    let mut command = Command::new(program);
    if geteuid().is_root() {
        let mut give = Command::new("chown");
        give.args(["-R", "nobody"]).arg(directory.path());
        assert!(give.status().unwrap().success());
        command.args(["-u", "nobody"]);
    }
    command
        .arg(file)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().unwrap()
}
