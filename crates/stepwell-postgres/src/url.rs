//! Where the database is: what a URL says, and which of its parameters are ours.

mod parameters;

use std::time::Duration;

use stepwell_core::store::{StoreError, StoreErrorKind};
use tokio_postgres::config::Host;

use self::parameters::Parameters;
use crate::tls::Trust;

/// How long a new connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// When a silent connection is asked whether the server is still there, and how long it may stay
/// silent then: without it a server that vanished would be noticed by the system's default, after
/// hours.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(15);

/// A database of Postgres, and how connections to it are set up.
#[derive(Clone)]
pub(crate) struct Address {
    /// What tokio-postgres needs, with the password.
    pub(crate) config: tokio_postgres::Config,
    pub(crate) trust: Trust,
    /// A plain identifier: letters, digits and `_`, at most 63 bytes.
    pub(crate) schema: String,
    pub(crate) timeouts: Timeouts,
    pub(crate) pooled: Pooled,
}

/// Whether something like PgBouncer stands before the server and hands out another connection for
/// each transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pooled {
    /// Found out when the store is opened.
    Unknown,
    Yes,
    No,
}

/// When the server gives up by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timeouts {
    /// One statement.
    pub(crate) statement: Duration,
    /// The wait for one lock.
    pub(crate) lock: Duration,
    /// A transaction whose client has fallen silent: a suspended process must not keep its locks.
    pub(crate) idle_in_transaction: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            statement: Duration::from_secs(30),
            lock: Duration::from_secs(10),
            idle_in_transaction: Duration::from_secs(10),
        }
    }
}

impl Timeouts {
    /// The settings, by the names that Postgres gives them.
    pub(crate) fn settings(self) -> [(&'static str, u128); 3] {
        [
            ("statement_timeout", self.statement.as_millis()),
            ("lock_timeout", self.lock.as_millis()),
            (
                "idle_in_transaction_session_timeout",
                self.idle_in_transaction.as_millis(),
            ),
        ]
    }
}

impl Address {
    /// Reads `postgres://user:password@host:port/database?parameter=value`.
    ///
    /// No error shows the URL: it may hold a password.
    pub(crate) fn parse(url: &str) -> Result<Self, StoreError> {
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        let read = Self::read(place, query);
        if query.contains('@') {
            // It may be the rest of a password that holds `?`: what is wrong with it is not said.
            return read.map_err(|_| {
                unusable(
                    "the address is no URL of a Postgres database, or has a parameter that is not \
                     known; in a user, a password or a value write `%3F` for `?` and `%40` for `@`",
                )
            });
        }
        read
    }

    fn read(place: &str, query: &str) -> Result<Self, StoreError> {
        let parameters = Parameters::read(query)?;
        let (mode, trust) = parameters.tls()?;
        let plain = match parameters.rest.as_slice() {
            [] => place.to_owned(),
            rest => format!("{place}?{}", rest.join("&")),
        };
        let mut config = driver_config(&plain)?;
        config.ssl_mode(mode);
        if config.get_application_name().is_none() {
            config.application_name("stepwell");
        }
        set_patience(&mut config, &parameters.rest);
        Ok(Self {
            config,
            trust,
            schema: parameters.schema()?,
            timeouts: parameters.timeouts,
            pooled: parameters.pooled()?,
        })
    }

    /// What a person calls it: without user and password.
    pub(crate) fn describe(&self) -> String {
        let ports = self.config.get_ports();
        let hosts: Vec<String> = (self.config.get_hosts().iter().enumerate())
            .map(|(i, host)| {
                let port = ports.get(i).or(ports.first()).copied().unwrap_or(5432);
                match host {
                    Host::Tcp(name) => format!("{name}:{port}"),
                    #[cfg(unix)]
                    Host::Unix(directory) => format!("{}:{port}", directory.display()),
                }
            })
            .collect();
        let database = self.config.get_dbname().or(self.config.get_user());
        let database = database.unwrap_or_default();
        let schema = match self.schema.as_str() {
            "stepwell" => String::new(),
            other => format!("?schema={other}"),
        };
        format!("postgres://{}/{database}{schema}", hosts.join(","))
    }
}

/// Reads what the driver reads. Of its errors none is passed on: they name what they do not
/// understand, and that may be a password.
fn driver_config(url: &str) -> Result<tokio_postgres::Config, StoreError> {
    let is_url = ["postgres://", "postgresql://"]
        .iter()
        .any(|it| url.starts_with(it));
    let config = url
        .parse::<tokio_postgres::Config>()
        .ok()
        .filter(|_| is_url);
    // `user:pass@word@host`: the driver takes `word@host` for the host.
    let is_whole = |config: &tokio_postgres::Config| {
        let hosts = config.get_hosts().iter();
        let names = hosts.filter_map(|host| match host {
            Host::Tcp(name) => Some(name.as_str()),
            #[cfg(unix)]
            Host::Unix(_) => None,
        });
        !names
            .chain(config.get_dbname())
            .any(|name| name.contains('@'))
    };
    config.filter(is_whole).ok_or_else(|| {
        unusable(
            "the address is no URL of a Postgres database; write \
             `postgres://user:password@host:5432/database`, and in a user or a password `%40` for `@`, \
             `%3A` for `:`, `%2F` for `/` and `%3F` for `?`",
        )
    })
}

/// Sets how long a silent server is waited for, where the URL does not.
fn set_patience(config: &mut tokio_postgres::Config, given: &[String]) {
    let is_given = |name: &str| {
        given
            .iter()
            .any(|it| it.split('=').next().is_some_and(|it| it == name))
    };
    if !is_given("connect_timeout") {
        config.connect_timeout(CONNECT_MAX);
    }
    if !is_given("keepalives_idle") {
        config.keepalives_idle(KEEPALIVE_IDLE);
    }
    if !is_given("tcp_user_timeout") {
        config.tcp_user_timeout(UNACKNOWLEDGED_MAX);
    }
}

fn unusable(message: impl Into<String>) -> StoreError {
    StoreError::new(StoreErrorKind::Unusable, message)
}

#[cfg(test)]
mod tests;
