//! The server from Docker or Podman.

use std::{
    fs,
    os::unix::ffi::OsStrExt,
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::{
    Engine, Running,
    home::{Home, Settings, free_port, is_taken},
};
use crate::exit::Problem;

/// The version is named: files of one major version are of no use to another.
const IMAGE: &str = "docker.io/library/postgres:17";

/// How long a new server may take to answer, without the time that its image takes to come.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How often it is asked.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// Whether a container could be run here.
pub(super) fn answers(engine: Engine) -> bool {
    let mut ask = Command::new(engine.as_str());
    let asked = ask
        .arg("info")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    asked.is_ok_and(|status| status.success())
}

/// Starts the server, and makes its files the first time.
pub(super) fn start(home: &Home, settings: &mut Settings) -> Result<(), Problem> {
    if is_taken(settings.port) {
        settings.port = free_port()?;
        home.write(settings)?;
    }
    // What was left by a crash, or by another port.
    run(settings, &["rm", "--force", &name(home)])?;
    fs::create_dir_all(home.data()).map_err(|error| home.failed("make files in", &error))?;
    let arguments = arguments(home, settings);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let started = run(settings, &arguments)?;
    if !started.status.success() {
        // If it is empty still, nothing came of this start, and nothing of it is to be kept.
        let _ = fs::remove_dir(home.data());
        let said = String::from_utf8_lossy(&started.stderr).trim().to_owned();
        let engine = settings.engine.as_str();
        return Err(Problem::failure(format!(
            "`{engine} run` started no server: {said}"
        )));
    }
    wait(home, settings)
}

/// The command that runs the container. The password is passed in the environment: others on this
/// machine can read a command line.
fn arguments(home: &Home, settings: &Settings) -> Vec<String> {
    let own = |text: &str| text.to_owned();
    vec![
        own("run"),
        own("--detach"),
        own("--name"),
        name(home),
        own("--publish"),
        format!("127.0.0.1:{}:5432", settings.port),
        own("--volume"),
        format!("{}:/var/lib/postgresql/data", home.data().display()),
        own("--env"),
        own("POSTGRES_PASSWORD"),
        own(IMAGE),
    ]
}

/// Waits until it answers at the address on which clients will ask: while it is made, the server
/// answers on a socket of its own before.
fn wait(home: &Home, settings: &Settings) -> Result<(), Problem> {
    let began = Instant::now();
    let name = name(home);
    while began.elapsed() < READY_WITHIN {
        let ready = run(settings, &["exec", &name, "pg_isready", "--host=127.0.0.1"])?;
        if ready.status.success() {
            return Ok(());
        }
        if state(home, settings) == Running::Stopped {
            break;
        }
        thread::sleep(ASK_EVERY);
    }
    let engine = settings.engine.as_str();
    Err(
        Problem::failure("the container of Postgres does not answer")
            .hint(format!("see what it says: `{engine} logs {name}`")),
    )
}

/// Stops the server; its files stay.
pub(super) fn stop(home: &Home, settings: &Settings) -> Result<(), Problem> {
    let name = name(home);
    for arguments in [["stop", &name].as_slice(), &["rm", "--force", &name]] {
        let done = run(settings, arguments)?;
        if !done.status.success() {
            let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
            return Err(Problem::failure(format!("Postgres did not stop: {said}")));
        }
    }
    Ok(())
}

/// Whether the server runs; where nobody answers, it does not.
pub(super) fn state(home: &Home, settings: &Settings) -> Running {
    let asked = run(
        settings,
        &["inspect", "--format", "{{.State.Running}}", &name(home)],
    );
    match asked {
        Ok(output) if output.stdout.trim_ascii() == b"true" => Running::Running,
        _ => Running::Stopped,
    }
}

/// A shell on the server, in its container.
pub(super) fn psql(home: &Home, settings: &Settings) -> Command {
    let mut command = Command::new(settings.engine.as_str());
    command.args(["exec", "--interactive"]);
    if std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        command.arg("--tty");
    }
    command.args([&name(home), "psql", "--username=postgres"]);
    command
}

fn run(settings: &Settings, arguments: &[&str]) -> Result<Output, Problem> {
    let engine = settings.engine.as_str();
    let mut command = Command::new(engine);
    command
        .args(arguments)
        .env("POSTGRES_PASSWORD", &settings.password);
    command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Problem::failure(format!("could not run `{engine}`")).because(&error))
}

/// The container's name: one for each directory.
fn name(home: &Home) -> String {
    let of_path = Uuid::new_v5(&Uuid::NAMESPACE_URL, home.path().as_os_str().as_bytes());
    format!("stepwell-postgres-{}", of_path.as_simple())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_reaches_it_and_nobody_reads_its_password() {
        let home = Home::at(Some("/srv/pg".into())).unwrap();
        let settings = Settings {
            engine: Engine::Docker,
            port: 5555,
            password: "s3cr3t".to_owned(),
        };
        let line = arguments(&home, &settings).join(" ");
        assert!(line.contains("--publish 127.0.0.1:5555:5432"), "{line}");
        assert!(
            line.contains("--volume /srv/pg/data:/var/lib/postgresql/data"),
            "{line}"
        );
        assert!(!line.contains("s3cr3t"), "{line}");
    }
}
