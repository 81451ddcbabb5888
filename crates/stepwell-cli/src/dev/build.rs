//! Cargo: which packages there are, and which program a build makes.

use std::{collections::HashSet, path::PathBuf, process::Stdio, time::SystemTime};

use serde::Deserialize;
use tokio::process::Command;

use super::sources::{Sources, of_dep_info};
use crate::exit::Problem;

/// How a program is built.
#[derive(Debug)]
pub(super) struct Build {
    cargo: String,
    package: Option<String>,
    bin: Option<String>,
    layout: Layout,
}

/// What a build has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Built {
    pub(super) program: PathBuf,
    /// Tells one build of it from another.
    made_at: Option<SystemTime>,
    /// What went into it.
    pub(super) sources: HashSet<PathBuf>,
}

/// What `cargo metadata` says, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Layout {
    packages: Vec<Package>,
    target_directory: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Package {
    manifest_path: PathBuf,
}

/// A line of `cargo build --message-format=json`, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Message {
    reason: String,
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

impl Build {
    /// Finds the workspace around the current directory.
    pub(super) async fn find(
        package: Option<String>,
        bin: Option<String>,
    ) -> Result<Self, Problem> {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let mut metadata = Command::new(&cargo);
        metadata.args(["metadata", "--no-deps", "--format-version=1"]);
        let said = metadata.stdin(Stdio::null()).output().await;
        let said = said.map_err(|error| {
            Problem::failure(format!("could not run `{cargo}`"))
                .because(&error)
                .hint("install Rust: https://rustup.rs")
        })?;
        if !said.status.success() {
            let why = String::from_utf8_lossy(&said.stderr).trim().to_owned();
            return Err(
                Problem::usage(format!("Cargo finds no package here: {why}"))
                    .hint("run `stepwell dev` in the directory of a Cargo package"),
            );
        }
        let layout = serde_json::from_slice(&said.stdout).map_err(|error| {
            Problem::failure("could not read what `cargo metadata` says").because(&error)
        })?;
        Ok(Self {
            cargo,
            package,
            bin,
            layout,
        })
    }

    /// What to watch before anything was built.
    pub(super) fn sources(&self) -> Sources {
        let manifests = self
            .layout
            .packages
            .iter()
            .map(|package| &package.manifest_path);
        let packages = manifests.filter_map(|manifest| manifest.parent());
        Sources {
            files: HashSet::new(),
            packages: packages.map(ToOwned::to_owned).collect(),
            target: self.layout.target_directory.clone(),
        }
    }

    /// Builds. None if it does not compile, which Cargo has said. Dropped on the way, Cargo is
    /// stopped.
    pub(super) async fn run(&self) -> Result<Option<Built>, Problem> {
        let mut command = Command::new(&self.cargo);
        command.args(["build", "--message-format=json-render-diagnostics"]);
        for (option, value) in [("--package", &self.package), ("--bin", &self.bin)] {
            if let Some(value) = value {
                command.args([option, value.as_str()]);
            }
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let child = command.spawn();
        let child =
            child.map_err(|error| Problem::failure("could not run `cargo`").because(&error))?;
        let output = child.wait_with_output().await?;
        if !output.status.success() {
            return Ok(None);
        }
        let program = only(programs(&String::from_utf8_lossy(&output.stdout)))?;
        let dep_info = std::fs::read_to_string(program.with_extension("d"));
        Ok(Some(Built {
            made_at: std::fs::metadata(&program)
                .and_then(|it| it.modified())
                .ok(),
            // Without it, changes of Rust files are seen all the same.
            sources: dep_info.map(|text| of_dep_info(&text)).unwrap_or_default(),
            program,
        }))
    }
}

/// The programs that a build has made, with their names.
fn programs(messages: &str) -> Vec<(String, PathBuf)> {
    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok());
    let made = messages.filter(|message| message.reason == "compiler-artifact");
    made.filter_map(|message| {
        let target = message
            .target
            .filter(|target| target.kind.iter().any(|kind| kind == "bin"))?;
        Some((target.name, message.executable?))
    })
    .collect()
}

/// The one program that is to be run.
fn only(mut programs: Vec<(String, PathBuf)>) -> Result<PathBuf, Problem> {
    match (programs.len(), programs.pop()) {
        (1, Some((_, program))) => Ok(program),
        (_, None) => Err(
            Problem::usage("there is no program to run here, only libraries")
                .hint("name the package that has one: `--package`"),
        ),
        (_, Some(last)) => {
            programs.push(last);
            programs.sort();
            let names: Vec<_> = programs.into_iter().map(|(name, _)| name).collect();
            Err(
                Problem::usage(format!("there are several programs: {}", names.join(", ")))
                    .hint("choose one with `--bin`"),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGES: &str = r#"
{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"shop"},"executable":null}
{"reason":"compiler-artifact","target":{"kind":["custom-build"],"name":"build-script-build"},"executable":"/t/b"}
{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"shop"},"executable":"/t/shop"}
{"reason":"build-finished","success":true}
no JSON
"#;

    #[test]
    fn the_program_is_found_among_what_was_built() {
        let programs = programs(MESSAGES);
        assert_eq!(programs, [("shop".to_owned(), PathBuf::from("/t/shop"))]);
        assert_eq!(only(programs).unwrap(), PathBuf::from("/t/shop"));
    }

    #[test]
    fn none_and_several_are_refused_by_name() {
        assert!(
            only(Vec::new())
                .unwrap_err()
                .message()
                .contains("only libraries")
        );
        let two = ["b", "a"].map(|name| (name.to_owned(), PathBuf::from("/t")));
        let problem = only(two.to_vec()).unwrap_err();
        assert_eq!(problem.message(), "there are several programs: a, b");
    }
}
