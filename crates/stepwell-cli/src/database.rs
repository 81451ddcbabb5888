//! From the options and the environment to a client.

use stepwell_core::{
    Client, Error, ErrorKind,
    store::{Migrations, StoreUrl},
};
// Linked for their schemes.
use stepwell_postgres as _;
use stepwell_sqlite as _;

use crate::exit::{Exit, Problem};

const SCHEMES: [&str; 3] = ["sqlite", "postgres", "postgresql"];

/// The database that a command is about; opened when the command needs it.
#[derive(Debug)]
pub(crate) struct Database {
    given: Option<String>,
}

impl Database {
    pub(crate) fn new(given: Option<String>) -> Self {
        Self { given }
    }

    /// Its URL.
    pub(crate) fn url(&self) -> Result<StoreUrl, Problem> {
        let url = match &self.given {
            Some(given) => Some(StoreUrl::new(given)),
            None => StoreUrl::from_environment().map_err(|it| Problem::usage(it.to_string()))?,
        };
        let url = url.ok_or_else(|| {
            Problem::usage("no database is named").hint(
                "add `--database sqlite:path` or `--database postgres://…`, or set \
                 STEPWELL_DATABASE_URL or DATABASE_URL",
            )
        })?;
        if SCHEMES.contains(&url.scheme()) {
            Ok(url)
        } else {
            Err(
                Problem::usage(format!("`{url}` is no address of a database"))
                    .hint("write `sqlite:path` or `postgres://user:password@host:5432/database`"),
            )
        }
    }

    /// Opens it as it is: a command that looks or steers makes no database and changes no schema.
    pub(crate) async fn open(&self) -> Result<Client, Problem> {
        let url = self.url()?;
        let migrations = self.migrations().await?;
        match (migrations.applied, migrations.missing.len()) {
            (_, 0) => self.migrate().await,
            (0, _) => Err(Problem::failure(format!(
                "the database at `{url}` has no Stepwell tables"
            ))
            .hint("check the address, or make them with `stepwell migrate`")),
            (_, missing) => Err(Problem::failure(format!(
                "the database at `{url}` lacks {missing} of the migrations that this `stepwell` \
                 needs"
            ))
            .hint(
                "see them with `stepwell migrate --dry-run`, apply them with `stepwell migrate`",
            )),
        }
    }

    /// What it has and lacks.
    pub(crate) async fn migrations(&self) -> Result<Migrations, Problem> {
        let url = self.url()?;
        Client::migrations(url.expose()).await.map_err(unreachable)
    }

    /// Opens it and applies what is missing.
    pub(crate) async fn migrate(&self) -> Result<Client, Problem> {
        let url = self.url()?;
        Client::open(url.expose()).await.map_err(unreachable)
    }
}

/// What fails while a database is opened is that it cannot be reached, whatever the reason.
fn unreachable(error: Error) -> Problem {
    let is_there = matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Internal);
    let exit = if is_there {
        Exit::of(error.kind())
    } else {
        Exit::Unreachable
    };
    Problem::from(error)
        .ending(exit)
        .hint("check the address, and that the database is there and lets this user in")
}
