//! Where a system keeps the programs of Postgres.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// Directories whose children are versions, and where the programs are below each.
const PLACES: [(&str, &str); 5] = [
    ("/usr/lib/postgresql", "bin"),
    ("/usr/local/opt", "bin"),
    ("/opt/homebrew/opt", "bin"),
    ("/usr", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "bin"),
];

/// The programs of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Programs {
    directory: PathBuf,
    /// The major version, where the place tells it.
    version: Option<u32>,
}

impl Programs {
    /// The path of one of them.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// The newest programs here.
pub(super) fn newest() -> Option<Programs> {
    all().into_iter().next()
}

/// The programs that can run files of a major version.
pub(super) fn of_version(version: u32) -> Option<Programs> {
    let mut all = all().into_iter();
    all.find(|it| it.version == Some(version))
}

/// All that are here, the newest first; one that tells no version comes last.
fn all() -> Vec<Programs> {
    let on_path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&on_path).filter_map(|directory| {
        // A link leads to the place that tells the version.
        let initdb = fs::canonicalize(directory.join("initdb")).ok()?;
        initdb.parent().map(Path::to_owned)
    });
    let known = PLACES.iter().flat_map(|(parent, below)| {
        let children = fs::read_dir(parent).into_iter().flatten().flatten();
        children.map(move |child| child.path().join(below))
    });
    let mut found: Vec<_> = on_path
        .chain(known)
        .filter(|directory| {
            directory.join("initdb").is_file() && directory.join("pg_ctl").is_file()
        })
        .map(|directory| Programs {
            version: version(&directory).or_else(|| asked_version(&directory)),
            directory,
        })
        .collect();
    found.sort_by_key(|it| std::cmp::Reverse(it.version));
    found.dedup();
    found
}

/// The version that a path tells: `/usr/lib/postgresql/15/bin`, `/usr/pgsql-16/bin`,
/// `/opt/homebrew/opt/postgresql@17/bin`.
fn version(directory: &Path) -> Option<u32> {
    let parent = directory.parent()?.file_name()?.to_str()?;
    let number = parent
        .strip_prefix("postgresql@")
        .or_else(|| parent.strip_prefix("pgsql-"))
        .unwrap_or(parent);
    number.parse().ok()
}

/// The version that the program tells: `initdb (PostgreSQL) 15.18 (Debian …)`.
fn asked_version(directory: &Path) -> Option<u32> {
    let mut initdb = std::process::Command::new(directory.join("initdb"));
    let output = initdb.arg("--version").output().ok()?;
    said_version(&String::from_utf8_lossy(&output.stdout))
}

fn said_version(said: &str) -> Option<u32> {
    let number = said.split_once(") ")?.1;
    let major = number.split(|c: char| !c.is_ascii_digit()).next()?;
    major.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_the_version() {
        for (path, expected) in [
            ("/usr/lib/postgresql/15/bin", Some(15)),
            ("/usr/pgsql-16/bin", Some(16)),
            ("/opt/homebrew/opt/postgresql@17/bin", Some(17)),
            ("/usr/bin", None),
            ("/usr/local/pgsql/bin", None),
        ] {
            assert_eq!(version(Path::new(path)), expected, "{path}");
        }
    }

    #[test]
    fn a_program_tells_its_version() {
        for (said, expected) in [
            (
                "initdb (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n",
                Some(15),
            ),
            ("initdb (PostgreSQL) 18beta1\n", Some(18)),
            ("no such file", None),
        ] {
            assert_eq!(said_version(said), expected, "{said}");
        }
    }
}
