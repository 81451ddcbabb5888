//! `stepwell postgres`: a real server, made, started, stopped.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Output},
};

use tempfile::TempDir;

use crate::{
    place::skipped,
    transcript::{shell, text},
};

/// A directory for a server, which is stopped with it.
struct Server {
    directory: TempDir,
}

impl Server {
    /// None without the programs of Postgres, which is said aloud.
    fn new() -> Option<Self> {
        let is_here = fs::read_dir("/usr/lib/postgresql").is_ok()
            || Command::new("initdb").arg("--version").output().is_ok();
        if !is_here {
            skipped("this system has no Postgres server; on Debian `apt-get install postgresql`");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        // Root hands the server to another user, who must get to it.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Some(Self { directory })
    }

    fn home(&self) -> PathBuf {
        self.directory.path().join("server")
    }

    /// Runs a line in which `$S` is `stepwell postgres` on this directory.
    fn run(&self, line: &str) -> Output {
        let home = self.home();
        let line = format!(
            "unset STEPWELL_DATABASE_URL; S='stepwell postgres --dir {}'; {line}",
            home.display()
        );
        shell(&line, "", self.directory.path()).output().unwrap()
    }

    fn ok(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {output:?}");
        text(&output.stdout)
    }

    fn code(&self, line: &str) -> Option<i32> {
        self.run(line).status.code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.run("$S stop");
    }
}

#[test]
fn a_server_is_made_used_stopped_and_started_again() {
    let Some(server) = Server::new() else { return };
    assert_eq!(server.code("$S status"), Some(4), "there is none yet");
    assert_eq!(server.code("$S url"), Some(4));

    let started = server.ok("export DATABASE_URL=$($S start); stepwell migrate -o ids; $S url");
    let (migrations, url) = started.trim().rsplit_once('\n').unwrap();
    assert!(migrations.starts_with('1'), "{started}");
    assert!(url.starts_with("postgres://postgres:"), "{url}");
    let again = server.ok("$S start 2>&1 >url && cat url");
    assert_eq!(again, format!("the server runs already\n{url}\n"));
    let status = server.ok("$S status");
    assert!(
        status.contains("running") && !status.contains(url),
        "{status}"
    );
    let made = "$S psql -- -c 'create table kept as select 7 as it'";
    assert!(server.ok(made).contains("SELECT 1"));

    server.ok("$S stop");
    server.ok("$S stop");
    assert_eq!(server.code("$S status"), Some(6));
    assert_eq!(server.code("$S psql"), Some(6));
    assert_eq!(server.ok("$S url").trim(), url, "it stays the same");
    assert_eq!(server.ok("$S start").trim(), url, "on the same port");
    let kept = server.ok("$S psql -- -tAc 'select it from kept'");
    assert_eq!(kept.trim(), "7");
}

#[test]
fn only_those_with_the_password_come_in_and_only_from_this_machine() {
    let Some(server) = Server::new() else { return };
    let url = server.ok("$S start");
    let url = url.trim();
    let (_, place) = url.split_once('@').unwrap();
    let refused = server.run(&format!(
        "stepwell migrate --database postgres://postgres:wrong@{place}"
    ));
    assert_eq!(refused.status.code(), Some(6));
    assert!(text(&refused.stderr).contains("password"), "{refused:?}");
    let listens = server.ok("$S psql -- -tAc 'show listen_addresses'");
    assert_eq!(listens.trim(), "127.0.0.1");
    let mode = fs::metadata(server.home().join("settings.json")).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
}

/// The port that it kept is gone when it comes back: it takes another one and keeps that.
#[test]
fn a_port_that_was_taken_meanwhile_is_given_up() {
    let Some(server) = Server::new() else { return };
    let port = |url: String| -> u16 {
        let (_, port) = url
            .trim()
            .trim_end_matches("/postgres")
            .rsplit_once(':')
            .unwrap();
        port.parse().unwrap()
    };
    let first = port(server.ok("$S start"));
    server.ok("$S stop");
    let _taken = std::net::TcpListener::bind(("127.0.0.1", first)).unwrap();
    let second = port(server.ok("$S start"));
    assert_ne!(first, second);
    assert_eq!(port(server.ok("$S url")), second);
    assert!(server.ok("$S psql -- -tAc 'select 1'").starts_with('1'));
}

#[test]
fn two_starts_at_once_make_one_server() {
    let Some(server) = Server::new() else { return };
    let urls = server.ok("$S start & A=$!; $S start; wait $A");
    let urls: Vec<_> = urls.lines().collect();
    assert_eq!(urls.len(), 2, "{urls:?}");
    assert_eq!(urls[0], urls[1]);
}

/// What a crash in the middle of the first start leaves.
#[test]
fn a_start_that_was_broken_off_is_begun_anew() {
    let Some(server) = Server::new() else { return };
    let half = server.home().join("data.new");
    fs::create_dir_all(&half).unwrap();
    fs::write(half.join("PG_VERSION"), "15").unwrap();
    server.ok("$S start");
    assert_eq!(server.code("$S status"), Some(0));
}

#[test]
fn what_cannot_work_is_said_with_what_to_do() {
    let Some(server) = Server::new() else { return };
    server.ok("$S start");
    let other = server.run("$S start --with docker");
    assert_eq!(other.status.code(), Some(2));
    assert!(
        text(&other.stderr).contains("made with `system`"),
        "{other:?}"
    );
    server.ok("$S stop");
    fs::write(server.home().join("data/PG_VERSION"), "9\n").unwrap();
    let old = server.run("$S start");
    assert_eq!(old.status.code(), Some(1));
    assert!(text(&old.stderr).contains("are of Postgres 9"), "{old:?}");
    assert!(
        text(&old.stderr).contains("hint: install Postgres 9"),
        "{old:?}"
    );
}

/// A start that came to nothing binds the next one to nothing.
#[test]
fn a_container_that_cannot_be_had_leaves_nothing_behind() {
    let Some(server) = Server::new() else { return };
    // A Docker without its daemon.
    let docker = server.directory.path().join("docker");
    fs::write(&docker, "#!/bin/sh\necho no daemon >&2\nexit 1\n").unwrap();
    fs::set_permissions(&docker, fs::Permissions::from_mode(0o755)).unwrap();
    let refused = server.run("PATH=$PWD:$PATH $S start --with docker");
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused.stderr).contains("Docker does not answer"),
        "{refused:?}"
    );
    assert!(
        server
            .ok("$S start -o json")
            .contains(r#""engine": "system""#)
    );
}

/// The container's part, with a program that notes what it is told in Docker's place.
#[test]
fn a_container_is_run_and_stopped() {
    let Some(server) = Server::new() else { return };
    let docker = server.directory.path().join("docker");
    let script = "#!/bin/sh
echo \"$@\" >> told
case $1 in
  run) touch up; echo \"$POSTGRES_PASSWORD\" > password ;;
  stop) rm -f up ;;
  inspect) test -e up && echo true ;;
esac
exit 0
";
    fs::write(&docker, script).unwrap();
    fs::set_permissions(&docker, fs::Permissions::from_mode(0o755)).unwrap();
    let url = server.ok("PATH=$PWD:$PATH; $S start --with docker");
    let password = server.ok("cat password");
    assert!(
        url.contains(&format!(":{}@127.0.0.1:", password.trim())),
        "{url}"
    );
    assert_eq!(server.ok("PATH=$PWD:$PATH; $S start").trim(), url.trim());
    assert_eq!(server.code("PATH=$PWD:$PATH; $S status"), Some(0));
    server.ok("PATH=$PWD:$PATH; $S stop");
    assert_eq!(server.code("PATH=$PWD:$PATH; $S status"), Some(6));
    let told = server.ok("cat told");
    assert_eq!(told.matches("run --detach").count(), 1, "{told}");
    assert!(told.contains("pg_isready --host=127.0.0.1"), "{told}");
    assert!(
        !told.contains(password.trim()),
        "nobody reads it in a list of processes: {told}"
    );
}

/// Root's server runs as another user, who must get to its files.
#[test]
fn a_directory_that_the_servers_user_cannot_enter_is_refused() {
    if !nix::unistd::geteuid().is_root() {
        return skipped("only root hands the server to another user");
    }
    let Some(server) = Server::new() else { return };
    fs::set_permissions(server.directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let refused = server.run("$S start");
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused.stderr).contains("the user `postgres`"),
        "{refused:?}"
    );
    assert!(text(&refused.stderr).contains("`--dir`"), "{refused:?}");
}
