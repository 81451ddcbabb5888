//! Runs lines in a shell and writes down what a person would see.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use crate::place::Place;

/// What was typed, what came of it.
pub(crate) struct Transcript {
    url: String,
    place: std::path::PathBuf,
    text: String,
}

impl Transcript {
    /// Of commands on a database.
    pub(crate) fn new(place: &Place) -> Self {
        Self {
            url: place.url.clone(),
            place: place.path().to_owned(),
            text: String::new(),
        }
    }

    /// Runs a line.
    pub(crate) fn run(&mut self, line: &str) -> &mut Self {
        let output = shell(line, &self.url, &self.place).output().unwrap();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        self.text.push_str(&format!("$ {line}\n{stdout}"));
        for line in stderr.lines() {
            self.text.push_str(&format!("! {line}\n"));
        }
        match output.status.code() {
            Some(0) => {}
            Some(code) => self.text.push_str(&format!("[exit {code}]\n")),
            None => panic!("`{line}` was killed: {:?}", output.status),
        }
        self.text.push('\n');
        self
    }

    /// Compares it with what is kept under a name. Both stores have the same.
    #[track_caller]
    pub(crate) fn check(&self, name: &str) {
        let mut settings = insta::Settings::clone_current();
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.add_filter(
            r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
            "[uuid]",
        );
        settings.add_filter(r"[0-9a-f]{32}", "[random]");
        // Not the years that tests name themselves.
        settings.add_filter(r"202[1-9]-\d\d-\d\dT\d\d(:\d\d:\d\d(\.\d+)?Z|…)", "[at]");
        settings.add_filter(r"(\d+ms|\d+s \d+ms|0s) +", "[took]  ");
        settings.add_filter(r"TOOK +", "TOOK  ");
        settings.bind(|| insta::assert_snapshot!(name, self.text));
    }
}

/// A line in a shell that finds `stepwell`, and a database in its environment.
pub(crate) fn shell(line: &str, url: &str, place: &Path) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", line])
        .current_dir(place)
        .stdin(Stdio::null())
        .env("PATH", path())
        .env("STEPWELL_DATABASE_URL", url)
        .env("USER", "ada")
        .env_remove("DATABASE_URL");
    command
}

/// A search path that begins with the place of `stepwell`.
fn path() -> String {
    let binaries = Path::new(env!("CARGO_BIN_EXE_stepwell")).parent().unwrap();
    let known = std::env::var("PATH").unwrap_or_default();
    format!("{}:{known}", binaries.display())
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
