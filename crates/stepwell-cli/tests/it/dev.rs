//! `stepwell dev`: with a tiny program that is changed, broken, mended and crashed.

use std::{
    fs,
    io::{BufRead, BufReader, Lines, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, ChildStderr, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::transcript::{shell, text};

const MANIFEST: &str = r#"
[package]
name = "tiny"
version = "0.1.0"
edition = "2024"

[dependencies]
listenfd = "1"

[workspace]
"#;

/// Answers each connection with its version; dies when it is told to.
const PROGRAM: &str = r#"
use std::io::{Read, Write};

fn main() {
    let mut handed = listenfd::ListenFd::from_env();
    let listener = handed.take_tcp_listener(0).unwrap().expect("a socket");
    let name = std::env::args().nth(1).unwrap();
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let mut word = [0];
        stream.read_exact(&mut word).unwrap();
        if word == *b"c" {
            std::process::abort();
        }
        write!(stream, "{name} {}", include_str!("version.txt").trim()).unwrap();
    }
}
"#;

/// A directory with the tiny program, in its first version.
fn project() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir(at("src")).unwrap();
    fs::write(at("Cargo.toml"), MANIFEST).unwrap();
    // The same versions as here, so that nothing has to be fetched.
    let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock");
    fs::copy(lock, at("Cargo.lock")).unwrap();
    fs::write(at("src/main.rs"), PROGRAM).unwrap();
    fs::write(at("src/version.txt"), "1").unwrap();
    directory
}

/// `stepwell dev`, and what it says.
struct Dev {
    child: Child,
    said: Lines<BufReader<ChildStderr>>,
}

impl Dev {
    fn new(place: &Path) -> Self {
        let mut command = shell("exec stepwell dev --port 0 -- tiny", "", place);
        command
            .env("CARGO_NET_OFFLINE", "true")
            .env_remove("CARGO_TARGET_DIR");
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, said }
    }

    /// Reads what it says up to a line with these words.
    fn until(&mut self, words: &str) -> String {
        let mut all = String::new();
        loop {
            let line = self
                .said
                .next()
                .unwrap_or_else(|| panic!("no `{words}` in:\n{all}"));
            let line = line.unwrap();
            if line.contains(words) {
                return line;
            }
            all.push_str(&format!("{line}\n"));
        }
    }

    fn stop(mut self) -> Option<i32> {
        kill(
            Pid::from_raw(self.child.id().try_into().unwrap()),
            Signal::SIGINT,
        )
        .unwrap();
        let code = self.child.wait().unwrap().code();
        assert!(
            self.said.last().is_none_or(|line| line.is_ok()),
            "nobody holds the pipe"
        );
        code
    }
}

/// Connects, which must never be refused, says a word and reads the answer.
fn ask(address: SocketAddr, word: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("nobody is refused");
    stream.write_all(word.as_bytes()).unwrap();
    let mut answer = String::new();
    // One that is told to die does not answer.
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn a_program_is_built_again_when_its_source_changes_and_started_again_when_it_dies() {
    let project = project();
    let write = |name: &str, text: &str| fs::write(project.path().join(name), text).unwrap();
    let mut dev = Dev::new(project.path());
    let line = dev.until("listening on http://");
    let address: SocketAddr = line.rsplit('/').next().unwrap().parse().unwrap();
    // Nobody accepts before it is built; this client waits.
    assert_eq!(ask(address, "v"), "tiny 1");
    dev.until("started");

    // A file that the program only includes.
    write("src/version.txt", "2");
    dev.until("started");
    assert_eq!(ask(address, "v"), "tiny 2");

    write("src/main.rs", "fn main() { 1 + }");
    dev.until("the build failed; the program from before goes on");
    assert_eq!(ask(address, "v"), "tiny 2");
    write(
        "src/main.rs",
        &PROGRAM.replace("{name} {}", "{name} mended {}"),
    );
    dev.until("started");
    assert_eq!(ask(address, "v"), "tiny mended 2");

    assert_eq!(ask(address, "c"), "");
    // Whether it is up again already or not: this client is not refused.
    assert_eq!(ask(address, "v"), "tiny mended 2");
    dev.until("was killed by SIGABRT");
    dev.until("started");
    assert_eq!(dev.stop(), Some(0));
    assert!(
        TcpStream::connect(address).is_err(),
        "the program is gone, too"
    );
}

#[test]
fn what_cannot_be_built_or_run_is_said_with_what_to_do() {
    let place = tempfile::tempdir().unwrap();
    let run = |line: &str| shell(line, "", place.path()).output().unwrap();
    let nowhere = run("stepwell dev");
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(
        text(&nowhere.stderr).contains("Cargo finds no package here"),
        "{nowhere:?}"
    );

    fs::create_dir_all(place.path().join("src/bin")).unwrap();
    let manifest = MANIFEST.replace("listenfd = \"1\"", "");
    fs::write(place.path().join("Cargo.toml"), manifest).unwrap();
    for name in ["one", "two"] {
        let path = place.path().join(format!("src/bin/{name}.rs"));
        fs::write(path, "fn main() {}").unwrap();
    }
    let several = run("stepwell dev");
    assert_eq!(several.status.code(), Some(2));
    assert!(
        text(&several.stderr).contains("several programs: one, two"),
        "{several:?}"
    );

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let in_use = run(&format!("stepwell dev --port {port}"));
    assert_eq!(in_use.status.code(), Some(1));
    assert!(
        text(&in_use.stderr).contains("is in use by another program"),
        "{in_use:?}"
    );
}
