//! A database for the workflows themselves, for one test.

/// Where an application keeps its workflows.
pub(crate) struct Workflows {
    pub(crate) url: String,
    /// Removes it.
    _home: Home,
}

enum Home {
    Directory { _directory: tempfile::TempDir },
    Server { _database: scratch::Database },
}

impl Workflows {
    pub(crate) fn in_sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("workflows.db").display());
        let home = Home::Directory {
            _directory: directory,
        };
        Self { url, _home: home }
    }

    /// None, and a line that says so, without a server.
    pub(crate) fn in_postgres() -> Option<Self> {
        let database = scratch::Database::new("workflows")?;
        let url = database.url().to_owned();
        let home = Home::Server {
            _database: database,
        };
        Some(Self { url, _home: home })
    }
}
