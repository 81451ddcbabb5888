//! Which files are a program's source. Pure.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

/// The source of a program: what Cargo says went into it, and what may go into it next.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Sources {
    /// What the last build read, `include_str!` among it.
    pub(super) files: HashSet<PathBuf>,
    /// The directories of the workspace's packages.
    pub(super) packages: Vec<PathBuf>,
    /// Where Cargo writes: what changes there is no source, or every build would ask for another.
    pub(super) target: PathBuf,
}

impl Sources {
    /// Whether a change of a file asks for a build.
    pub(super) fn have(&self, path: &Path) -> bool {
        if path.starts_with(&self.target) {
            return false;
        }
        let name = path.file_name().and_then(|name| name.to_str());
        let is_of_cargo = matches!(name, Some("Cargo.toml" | "Cargo.lock"));
        let is_rust = path.extension().is_some_and(|extension| extension == "rs");
        let is_ours = || {
            self.packages
                .iter()
                .any(|package| path.starts_with(package))
        };
        self.files.contains(path) || ((is_of_cargo || is_rust) && is_ours())
    }
}

/// The files that a dep-info file of Cargo names: `program: a.rs b\ c.rs`.
pub(super) fn of_dep_info(text: &str) -> HashSet<PathBuf> {
    let named = text.lines().filter_map(|line| line.split_once(": "));
    named
        .flat_map(|(_, files)| split(files))
        .map(PathBuf::from)
        .collect()
}

/// Splits at spaces that no `\` stands before.
fn split(files: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut letters = files.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if letters.peek() == Some(&' ') => {
                letters.next();
                push(&mut all, ' ');
            }
            ' ' => all.push(String::new()),
            other => push(&mut all, other),
        }
    }
    all.retain(|file| !file.is_empty());
    all
}

fn push(all: &mut [String], letter: char) {
    if let Some(last) = all.last_mut() {
        last.push(letter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dep_info_file_names_what_was_read() {
        let files = of_dep_info("/t/shop: /s/main.rs /s/my\\ page.html\n\n/s/main.rs:\n");
        let expected = ["/s/main.rs", "/s/my page.html"].map(PathBuf::from);
        assert_eq!(files, HashSet::from(expected));
        assert!(of_dep_info("").is_empty());
    }

    #[test]
    fn what_the_program_is_made_of_asks_for_a_build() {
        let sources = Sources {
            files: HashSet::from([PathBuf::from("/s/page.html"), "/s/target/made.rs".into()]),
            packages: vec!["/s".into()],
            target: "/s/target".into(),
        };
        for path in [
            "/s/page.html",
            "/s/src/new.rs",
            "/s/Cargo.toml",
            "/s/Cargo.lock",
        ] {
            assert!(sources.have(Path::new(path)), "{path}");
        }
        for path in [
            "/s/shop.db",
            "/s/other.html",
            "/s/target/made.rs",
            "/elsewhere/x.rs",
        ] {
            assert!(!sources.have(Path::new(path)), "{path}");
        }
    }
}
