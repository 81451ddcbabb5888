//! The server from this system's programs.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use super::{
    Running,
    home::{Home, Settings, free_port, is_taken, new_private, private},
    owner::Owner,
    programs::{self, Programs},
};
use crate::exit::Problem;

/// How many lines of the server's log an error shows.
const LOG_LINES: usize = 10;

/// How often another port is tried, if one is taken between the look and the start.
const PORTS_MAX: u32 = 5;

/// What `pg_ctl status` exits with when no server runs.
const NOT_RUNNING: i32 = 3;

/// Starts the server, and makes its files the first time.
pub(super) fn start(home: &Home, settings: &mut Settings) -> Result<(), Problem> {
    let owner = Owner::find()?;
    if !home.data().exists() {
        make(home, settings, owner)?;
    }
    let programs = programs_of(home)?;
    let mut tries = 0;
    loop {
        tries += 1;
        if is_taken(settings.port) {
            settings.port = free_port()?;
            home.write(settings)?;
        }
        match launch(home, settings, owner, &programs) {
            // Somebody else was quicker at the port: another one is tried.
            Err(_) if tries < PORTS_MAX && is_taken(settings.port) => {}
            done => return done,
        }
    }
}

/// Makes the server's files: beside their place first, so that a crash on the way leaves no half of
/// them where the next start would take it for a whole.
fn make(home: &Home, settings: &Settings, owner: Owner) -> Result<(), Problem> {
    let programs = programs::newest().ok_or_else(|| {
        Problem::failure("this system has no Postgres server any more")
            .hint("install it again; on Debian `apt-get install postgresql`")
    })?;
    let new = home.path().join("data.new");
    let password = new.with_extension("password");
    let prepare = || {
        if new.exists() {
            fs::remove_dir_all(&new)?;
        }
        fs::create_dir(&new)?;
        owner.give(&File::open(&new)?)?;
        let mut file = new_private(&password)?;
        file.write_all(settings.password.as_bytes())?;
        owner.give(&file)
    };
    prepare().map_err(|error| home.failed("make files in", &error))?;
    if !owner.can_write(&new) {
        return Err(Problem::failure(format!(
            "the user `postgres`, who runs the server, cannot get to `{}`",
            home.shown()
        ))
        .hint("name a directory that others may enter with `--dir`"));
    }
    let mut initdb = owner.command(&programs.path("initdb"));
    initdb.args([
        "--auth=scram-sha-256",
        "--username=postgres",
        "--encoding=UTF8",
        "--no-locale",
    ]);
    initdb
        .arg("--pwfile")
        .arg(&password)
        .arg("--pgdata")
        .arg(&new);
    let made = initdb.output();
    // Before anything else can fail: it must not lie about.
    let removed = fs::remove_file(&password);
    let made = made.map_err(|error| home.failed("run `initdb` for", &error))?;
    removed.map_err(|error| home.failed("remove the password file in", &error))?;
    if !made.status.success() {
        let said = String::from_utf8_lossy(&made.stderr).trim().to_owned();
        return Err(Problem::failure(format!(
            "`initdb` could not make a server: {said}"
        )));
    }
    fs::rename(&new, home.data()).map_err(|error| home.failed("make files in", &error))
}

fn launch(
    home: &Home,
    settings: &Settings,
    owner: Owner,
    programs: &Programs,
) -> Result<(), Problem> {
    let log = home.log();
    // Made here, because the server's user may not write into the directory around it.
    private(&log)
        .and_then(|file| owner.give(&file))
        .map_err(|error| home.failed("make the log in", &error))?;
    let options = format!(
        "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories=",
        settings.port
    );
    let mut pg_ctl = pg_ctl(home, owner, programs, "start");
    pg_ctl.arg("--log").arg(&log).args(["--options", &options]);
    // The server inherits what `pg_ctl` has: a pipe of ours would be held open for as long as it
    // runs, and `$(stepwell postgres start)` would wait for its end.
    let status = pg_ctl.stdout(Stdio::null()).stderr(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(Problem::failure(format!(
            "Postgres did not start; the end of `{}` is:\n{}",
            log.display(),
            tail(&log)
        ))),
        Err(error) => Err(home.failed("run `pg_ctl` for", &error)),
    }
}

/// Stops the server: clients are sent away, what they committed stays.
pub(super) fn stop(home: &Home) -> Result<(), Problem> {
    let mut pg_ctl = pg_ctl(home, Owner::find()?, &programs_of(home)?, "stop");
    let stopped = pg_ctl.args(["--mode", "fast"]).output();
    let stopped = stopped.map_err(|error| home.failed("run `pg_ctl` for", &error))?;
    if stopped.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&stopped.stderr).trim().to_owned();
    Err(Problem::failure(format!("Postgres did not stop: {said}")))
}

/// Whether the server runs.
pub(super) fn state(home: &Home) -> Result<Running, Problem> {
    if !home.data().exists() {
        return Ok(Running::Stopped);
    }
    let status = pg_ctl(home, Owner::find()?, &programs_of(home)?, "status").output();
    let output = status.map_err(|error| home.failed("run `pg_ctl` for", &error))?;
    match output.status.code() {
        Some(0) => Ok(Running::Running),
        Some(NOT_RUNNING) => Ok(Running::Stopped),
        _ => Err(Problem::failure(format!(
            "`pg_ctl status` cannot tell whether the server in `{}` runs: {}",
            home.shown(),
            String::from_utf8_lossy(&output.stderr).trim()
        ))
        .hint("run this as the user who started it")),
    }
}

/// A shell on the server. The password is passed in the environment: others on this machine can
/// read a command line.
pub(super) fn psql(settings: &Settings) -> Result<Command, Problem> {
    let programs = programs::newest();
    let beside = programs.map(|it| it.path("psql")).filter(|it| it.is_file());
    let mut command = Command::new(beside.unwrap_or_else(|| "psql".into()));
    command
        .args([
            "--host=127.0.0.1",
            "--username=postgres",
            "--dbname=postgres",
        ])
        .arg(format!("--port={}", settings.port))
        .env("PGPASSWORD", &settings.password);
    Ok(command)
}

fn pg_ctl(home: &Home, owner: Owner, programs: &Programs, verb: &str) -> Command {
    let mut pg_ctl = owner.command(&programs.path("pg_ctl"));
    pg_ctl
        .args([verb, "--silent"])
        .arg("--pgdata")
        .arg(home.data());
    if verb != "status" {
        pg_ctl.arg("--wait");
    }
    pg_ctl
}

/// The programs that can run the server's files: those of another major version cannot.
fn programs_of(home: &Home) -> Result<Programs, Problem> {
    let version = fs::read_to_string(home.data().join("PG_VERSION"));
    let version =
        version.map_err(|error| home.failed("read the version of the files in", &error))?;
    let major = version.trim().parse().ok();
    major.and_then(programs::of_version).ok_or_else(|| {
        let version = version.trim();
        Problem::failure(format!(
            "the files in `{}` are of Postgres {version}, whose programs are not here",
            home.shown()
        ))
        .hint(format!(
            "install Postgres {version} again, or make a new server elsewhere with `--dir`"
        ))
    })
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}
