//! Where the database is: what a URL says, and what is refused before SQLite sees it.

use std::path::{Path, PathBuf};

use stepwell_core::store::{StoreError, StoreErrorKind, StoreUrl};

/// A database of SQLite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// In memory, for one store; gone with it.
    Memory,
    /// A file.
    File {
        /// Its path.
        path: PathBuf,
        /// Whose it is.
        tenancy: Tenancy,
    },
}

/// Whose a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tenancy {
    /// Ours: one that holds tables of others is refused, because the path may be a mistake.
    Own,
    /// An application's, which keeps its tables there and its marks in the header.
    Existing,
}

impl Address {
    /// Reads `sqlite:path`, `sqlite://path`, `sqlite:///absolute/path` or `sqlite::memory:`; behind a
    /// path `?existing` says that the file is an application's. The path is taken as it stands, without
    /// percent-encoding.
    pub(crate) fn parse(url: &str) -> Result<Self, StoreError> {
        let shown = StoreUrl::new(url);
        let rest = url.strip_prefix("sqlite:").ok_or_else(|| {
            unusable(format!(
                "`{shown}` is no address of a SQLite database; write `sqlite:path`"
            ))
        })?;
        let path = rest.strip_prefix("//").unwrap_or(rest);
        let (path, tenancy) = match path.strip_suffix("?existing") {
            Some(path) => (path, Tenancy::Existing),
            None => (path, Tenancy::Own),
        };
        match path {
            ":memory:" => Ok(Self::Memory),
            "" => Err(unusable(format!(
                "`{shown}` names no file; write `sqlite:shop.db`, or `sqlite::memory:` for a test"
            ))),
            _ if path.contains('?') => Err(unusable(format!(
                "`{shown}` has parameters, and there are none but `existing`; write `sqlite:path` (a \
                 missing file is made), or `sqlite:path?existing` for a file that holds tables of \
                 your application"
            ))),
            _ if path.contains('\0') => Err(unusable(format!("`{shown}` holds a NUL character"))),
            _ => Ok(Self::File {
                path: PathBuf::from(path),
                tenancy,
            }),
        }
    }

    /// What a person calls it.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Memory => "sqlite::memory:".to_owned(),
            Self::File { path, .. } => path.display().to_string(),
        }
    }
}

fn unusable(message: String) -> StoreError {
    StoreError::new(StoreErrorKind::Unusable, message)
}

/// Refuses a path that can hold no database, with the reason: SQLite itself only says that it
/// cannot open it, or worse, opens it.
pub(crate) fn check_place(path: &Path) -> Result<(), StoreError> {
    let shown = path.display();
    if path.is_dir() {
        return Err(unusable(format!(
            "`{shown}` is a directory; name a file in it: `sqlite:{}`",
            path.join("stepwell.db").display()
        )));
    }
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    if !parent.is_dir() {
        return Err(unusable(format!(
            "the directory `{}` of the database `{shown}` does not exist; make it, or choose \
             another path",
            parent.display()
        )));
    }
    // A link may lead elsewhere: ask the file where there is one.
    let asked = if path.exists() { path } else { parent };
    if let Some(name) = network_file_system(asked) {
        return Err(unusable(format!(
            "`{shown}` is on a network file system ({name}), where locks between machines do not \
             hold and a crash can damage the database; choose a local disk, or use Postgres"
        )));
    }
    Ok(())
}

/// The name of the file system if it is one of the network; none where it cannot be asked.
fn network_file_system(path: &Path) -> Option<&'static str> {
    let magic = rustix::fs::statfs(path).ok()?.f_type;
    // The field's type differs between platforms; every magic number fits 32 bits.
    network_name(u32::try_from(magic & 0xffff_ffff).ok()?)
}

/// The name that belongs to a magic number of `statfs(2)`.
fn network_name(magic: u32) -> Option<&'static str> {
    match magic {
        0x0000_6969 => Some("NFS"),
        0x0000_517b | 0xff53_4d42 | 0xfe53_4d42 => Some("SMB"),
        0x5346_414f | 0x6b41_4653 => Some("AFS"),
        0x00c3_6400 => Some("Ceph"),
        0x0bd0_0bd0 => Some("Lustre"),
        0x0116_1970 => Some("GFS2"),
        0x7461_636f => Some("OCFS2"),
        0x7375_7245 => Some("Coda"),
        0x0000_564c => Some("NCP"),
        0x0102_1997 => Some("9p"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn file(url: &str, path: &str) {
        owned(url, path, Tenancy::Own);
    }

    #[track_caller]
    fn owned(url: &str, path: &str, tenancy: Tenancy) {
        let path = path.into();
        assert_eq!(
            Address::parse(url).unwrap(),
            Address::File { path, tenancy }
        );
    }

    #[track_caller]
    fn refused(url: &str, reason: &str) {
        let error = Address::parse(url).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unusable);
        assert!(error.to_string().contains(reason), "{error}");
    }

    #[test]
    fn a_url_names_a_file() {
        file("sqlite:shop.db", "shop.db");
        file("sqlite:data/shop.db", "data/shop.db");
        file("sqlite:/srv/shop.db", "/srv/shop.db");
        file("sqlite://shop.db", "shop.db");
        file("sqlite:///srv/shop.db", "/srv/shop.db");
        file("sqlite:my shop%20.db", "my shop%20.db");
    }

    #[test]
    fn a_url_says_that_the_file_is_an_applications() {
        owned("sqlite:shop.db?existing", "shop.db", Tenancy::Existing);
        owned(
            "sqlite:///srv/shop.db?existing",
            "/srv/shop.db",
            Tenancy::Existing,
        );
        refused("sqlite:?existing", "names no file");
        refused("sqlite:shop.db?existing=1", "has parameters");
    }

    #[test]
    fn a_url_names_memory() {
        for url in ["sqlite::memory:", "sqlite://:memory:"] {
            assert_eq!(Address::parse(url).unwrap(), Address::Memory);
        }
    }

    #[test]
    fn a_bad_url_is_refused_with_what_to_do() {
        refused("sqlite:", "names no file");
        refused("sqlite://", "names no file");
        refused("sqlite:shop.db?mode=rwc", "has parameters");
        let error = Address::parse("sqlite:shop.db?key=s3cr3t").unwrap_err();
        assert!(
            !format!("{error} {error:?}").contains("s3cr3t"),
            "{error:?}"
        );
        refused("postgres://db/shop", "write `sqlite:path`");
    }

    #[test]
    fn a_network_file_system_is_known_by_its_number() {
        assert_eq!(network_name(0x6969), Some("NFS"));
        assert_eq!(network_name(0xff53_4d42), Some("SMB"));
        assert_eq!(network_name(0xef53), None, "ext4 is local");
    }
}
