//! The parameters of a URL: ours, libpq's about TLS, and those that are left to the driver.

use std::{path::PathBuf, time::Duration};

use stepwell_core::store::StoreError;
use tokio_postgres::config::SslMode;

use super::{Pooled, Timeouts, unusable};
use crate::tls::Trust;

/// What tokio-postgres reads by itself.
const DRIVER_PARAMETERS: [&str; 19] = [
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "load_balance_hosts",
    "options",
    "password",
    "port",
    "sslnegotiation",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
    "sslmode",
];

const OUR_PARAMETERS: [&str; 6] = [
    "idle_in_transaction_session_timeout",
    "lock_timeout",
    "pooled",
    "schema",
    "sslrootcert",
    "statement_timeout",
];

/// What the parameters of a URL say, before they are put together.
#[derive(Default)]
pub(super) struct Parameters {
    sslmode: Option<String>,
    sslrootcert: Option<String>,
    schema: Option<String>,
    pooled: Option<String>,
    pub(super) timeouts: Timeouts,
    /// Those of the driver, as they were written.
    pub(super) rest: Vec<String>,
}

impl Parameters {
    pub(super) fn read(query: &str) -> Result<Self, StoreError> {
        let mut read = Self::default();
        for parameter in query.split('&').filter(|it| !it.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = decode(value);
            match name {
                "sslmode" => read.sslmode = Some(value),
                "sslrootcert" => read.sslrootcert = Some(value),
                "schema" => read.schema = Some(value),
                "pooled" => read.pooled = Some(value),
                "statement_timeout" => read.timeouts.statement = millis(name, &value)?,
                "lock_timeout" => read.timeouts.lock = millis(name, &value)?,
                "idle_in_transaction_session_timeout" => {
                    read.timeouts.idle_in_transaction = millis(name, &value)?;
                }
                _ if DRIVER_PARAMETERS.contains(&name) => read.rest.push(parameter.to_owned()),
                _ => return Err(unknown(name)),
            }
        }
        Ok(read)
    }

    /// What libpq means by `sslmode` and `sslrootcert`.
    pub(super) fn tls(&self) -> Result<(SslMode, Trust), StoreError> {
        let root = self.sslrootcert.as_deref();
        let from = |root: Option<&str>| match root {
            None | Some("system") => None,
            Some(path) => Some(PathBuf::from(path)),
        };
        match (self.sslmode.as_deref().unwrap_or("prefer"), root) {
            ("disable", _) => Ok((SslMode::Disable, Trust::Anybody)),
            ("allow" | "prefer", _) => Ok((SslMode::Prefer, Trust::Anybody)),
            ("require", None) => Ok((SslMode::Require, Trust::Anybody)),
            // With roots at hand libpq checks them here too.
            ("require" | "verify-ca", Some(path)) if path != "system" => {
                Ok((SslMode::Require, Trust::SignedBy(path.into())))
            }
            ("verify-ca", None) => Err(unusable(
                "`sslmode=verify-ca` needs `sslrootcert=FILE`, the certificates that it trusts; or \
                 write `sslmode=verify-full`, which takes the system's",
            )),
            ("verify-full", _) => Ok((SslMode::Require, Trust::Named(from(root)))),
            // The roots of the system sign for everybody: only the name tells who it is.
            ("require" | "verify-ca", _) => Err(unusable(
                "`sslrootcert=system` needs `sslmode=verify-full`: the system's roots sign for \
                 every host",
            )),
            (other, _) => Err(unusable(format!(
                "`{other}` is no `sslmode`; write `disable`, `prefer`, `require`, `verify-ca` or \
                 `verify-full`"
            ))),
        }
    }

    pub(super) fn schema(&self) -> Result<String, StoreError> {
        let name = self.schema.as_deref().unwrap_or("stepwell");
        let is_plain = name.len() <= 63
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        if is_plain && !name.starts_with("pg_") && name != "information_schema" {
            return Ok(name.to_owned());
        }
        Err(unusable(format!(
            "`{name}` is no name for a schema here; use letters, digits and `_`, at most 63, and \
             neither `pg_…` nor `information_schema`"
        )))
    }

    pub(super) fn pooled(&self) -> Result<Pooled, StoreError> {
        match self.pooled.as_deref() {
            None | Some("auto") => Ok(Pooled::Unknown),
            Some("true") => Ok(Pooled::Yes),
            Some("false") => Ok(Pooled::No),
            Some(other) => Err(unusable(format!(
                "`{other}` is no value of `pooled`; write `auto`, `true` or `false`"
            ))),
        }
    }
}

fn millis(name: &str, value: &str) -> Result<Duration, StoreError> {
    // Postgres counts these settings in an `int` of milliseconds.
    match value.parse::<i32>().map(u64::try_from) {
        Ok(Ok(value)) => Ok(Duration::from_millis(value)),
        _ => Err(unusable(format!(
            "`{value}` is no value of `{name}`; write milliseconds, 0 for no limit"
        ))),
    }
}

fn unknown(name: &str) -> StoreError {
    // What is not even a word is perhaps a part of a password.
    let is_word = |name: &str| {
        name.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let name = if is_word(name) { name } else { "…" };
    unusable(format!(
        "the address has a parameter `{name}` that is not known here; ours are {}, and those of \
         the connection are {}",
        OUR_PARAMETERS.join(", "),
        DRIVER_PARAMETERS.join(", "),
    ))
}

/// Resolves `%41`. What is no such escape stays as it stands.
fn decode(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, more @ ..] = rest {
        let escaped = match rest {
            [b'%', high, low, ..] => std::str::from_utf8(&[*high, *low])
                .ok()
                .and_then(|digits| u8::from_str_radix(digits, 16).ok()),
            _ => None,
        };
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &rest[3..] } else { more };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
