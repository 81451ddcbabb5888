//! The address of a database, and what of it may be shown.

use std::{ffi::OsString, fmt};

use crate::limits::InvalidInput;

/// The environment variables that name the database when neither code nor command line does, in this
/// order.
const VARIABLES: [&str; 2] = ["STEPWELL_DATABASE_URL", "DATABASE_URL"];

/// The address of a database. `Debug` and `Display` show its scheme, host, port and database, or its
/// file, and the names of its parameters: never a user, a password or the value of a parameter, also
/// when the address is written wrongly.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl(String);

impl StoreUrl {
    /// Takes a URL as the user wrote it.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// Takes the URL that the environment names, if it does: `STEPWELL_DATABASE_URL`, else
    /// `DATABASE_URL`.
    ///
    /// # Errors
    /// If the first one that is set is empty, or no text: whoever sets it means a database, and would
    /// find another one in use.
    pub fn from_environment() -> Result<Option<Self>, InvalidInput> {
        Self::from_variables(|name| std::env::var_os(name))
    }

    fn from_variables(
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Option<Self>, InvalidInput> {
        let set = VARIABLES
            .iter()
            .find_map(|name| Some((name, variable(name)?)));
        let Some((name, url)) = set else {
            return Ok(None);
        };
        match url.into_string() {
            Ok(url) if !url.is_empty() => Ok(Some(Self::new(url))),
            Ok(_) => Err(InvalidInput::new(format!(
                "the environment variable {name} is empty; write `sqlite:path` or \
                 `postgres://user:password@host:5432/database` into it, or unset it"
            ))),
            Err(_) => Err(InvalidInput::new(format!(
                "the environment variable {name} is no text; write the address of a database into it"
            ))),
        }
    }

    /// The whole URL, with what is secret in it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What stands before the first `:`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.0.split_once(':').map_or("", |(scheme, _)| scheme)
    }

    /// What of it is no secret. None if nothing can be said for certain.
    fn shown(&self) -> Option<String> {
        let (place, parameters) = match self.0.split_once('?') {
            Some((place, query)) => (place, shown_parameters(query)?),
            None => (self.0.as_str(), String::new()),
        };
        if let Some(file) = place.strip_prefix("sqlite:") {
            return is_file(file).then(|| format!("sqlite:{file}{parameters}"));
        }
        match place.split_once("://") {
            Some((scheme, rest)) if is_scheme(scheme) => {
                // A password may hold `/`: whatever stands before the last `@` is not shown.
                let (user, place) = match rest.rsplit_once('@') {
                    Some((_, place)) => ("…@", place),
                    None => ("", rest),
                };
                is_server(place).then(|| format!("{scheme}://{user}{place}{parameters}"))
            }
            // Somebody forgot `sqlite:`.
            _ if !place.contains([':', '=']) && is_file(place) => {
                Some(format!("{place}{parameters}"))
            }
            _ => None,
        }
    }
}

/// The only parameter that has no value.
const WITHOUT_VALUE: &str = "existing";

/// `?user&password`. None if it may be the rest of a password that holds `?`.
fn shown_parameters(query: &str) -> Option<String> {
    if query.contains('@') {
        return None;
    }
    let names = query
        .split('&')
        .filter(|it| !it.is_empty())
        .map(|parameter| {
            // Without a value it is none that is known: perhaps a secret.
            let name = match parameter.split_once('=') {
                Some((name, _)) => name,
                None if parameter == WITHOUT_VALUE => parameter,
                None => "…",
            };
            let is_name = |c: char| c.is_ascii_lowercase() || matches!(c, '_' | '-' | '.');
            match name.chars().all(is_name) {
                true => name,
                false => "…",
            }
        });
    Some(format!("?{}", names.collect::<Vec<_>>().join("&")))
}

fn is_scheme(scheme: &str) -> bool {
    scheme
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// Whether it is a path: of a file that is called like an address with a password, nothing is shown.
fn is_file(path: &str) -> bool {
    let is_plain = !path.contains(['@', ':']) && !path.contains(char::is_control);
    is_plain || matches!(path, ":memory:" | "//:memory:")
}

/// `host:port,host:port/database`: without a port that is none, so `shop:hunter2`, whose host was
/// forgotten, is not shown.
fn is_server(place: &str) -> bool {
    let (hosts, database) = place.split_once('/').unwrap_or((place, ""));
    let is_plain = |text: &str| {
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '%' | '~');
        text.chars().all(plain)
    };
    let is_host = |host: &str| match host.strip_prefix('[').and_then(|it| it.split_once(']')) {
        Some((address, port)) => {
            address
                .chars()
                .all(|c| c.is_ascii_hexdigit() || matches!(c, ':' | '.'))
                && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
        }
        None => match host.split_once(':') {
            Some((host, port)) => is_plain(host) && is_port(port),
            None => is_plain(host),
        },
    };
    hosts.split(',').all(is_host) && is_plain(database)
}

fn is_port(port: &str) -> bool {
    port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.shown(), self.0.split_once("://")) {
            (Some(shown), _) => f.write_str(&shown),
            (None, _) if self.0.starts_with("sqlite:") => f.write_str("sqlite:…"),
            (None, Some((scheme, _))) if is_scheme(scheme) => write!(f, "{scheme}://…"),
            (None, _) => f.write_str("…"),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, test_runner::Config};

    use super::*;

    #[test]
    fn the_first_variable_that_is_set_counts() {
        let table = [
            (None, None, "none"),
            (Some("sqlite:a.db"), Some("sqlite:b.db"), "sqlite:a.db"),
            (None, Some("sqlite:b.db"), "sqlite:b.db"),
            (
                Some(""),
                Some("sqlite:b.db"),
                "STEPWELL_DATABASE_URL is empty",
            ),
            (None, Some(""), "variable DATABASE_URL is empty"),
        ];
        for (first, second, expected) in table {
            let url = StoreUrl::from_variables(|name| match name {
                "STEPWELL_DATABASE_URL" => first.map(OsString::from),
                _ => second.map(OsString::from),
            });
            let said = match url {
                Ok(None) => "none".to_owned(),
                Ok(Some(url)) => url.to_string(),
                Err(error) => error.to_string(),
            };
            assert!(said.contains(expected), "{first:?} {second:?}: {said}");
        }
    }

    #[track_caller]
    fn shown(url: &str, as_this: &str) {
        let url = StoreUrl::new(url);
        assert_eq!(url.to_string(), as_this);
        assert_eq!(format!("{url:?}"), as_this);
    }

    #[test]
    fn a_place_is_shown() {
        for url in [
            "sqlite:shop.db",
            "sqlite::memory:",
            "sqlite:///srv/my shop/größe.db",
            "shop.db",
            "postgres://db/shop",
            "postgres://[2001:db8::1]:5432/shop",
            "postgres://%2Fvar%2Frun%2Fpostgresql/shop",
        ] {
            shown(url, url);
        }
        shown(
            "postgres://one:5432,two:5433/shop?target_session_attrs=read-write",
            "postgres://one:5432,two:5433/shop?target_session_attrs",
        );
    }

    #[test]
    fn a_password_is_never_shown() {
        shown(
            "postgres://shop:s3cr3t@db:5432/shop",
            "postgres://…@db:5432/shop",
        );
        shown("postgres://shop:s3/cr@3t@db/shop", "postgres://…@db/shop");
        shown("postgres://shop:s3?cr3t@db/shop", "postgres://…");
        shown("postgres://shop:s3cr3t", "postgres://…");
        shown("postgres:shop:s3cr3t@db", "…");
        shown("shop:s3cr3t@db", "…");
        shown("host=db password=s3cr3t", "…");
        shown(
            "postgres://db/shop?user=shop&password=s3cr3t",
            "postgres://db/shop?user&password",
        );
        shown("postgres://db/shop?s3cr3t", "postgres://db/shop?…");
        shown("sqlite:x.db?key=s3cr3t", "sqlite:x.db?key");
        shown("sqlite:x.db?existing", "sqlite:x.db?existing");
        shown("sqlite://shop:s3cr3t@db/x.db", "sqlite:…");
    }

    /// Addresses right and wrong, around a secret.
    fn around(secret: &str) -> Vec<String> {
        let shapes = [
            "postgres://shop:$@db:5432/shop",
            "postgres://$@db/shop",
            "postgres://shop:$@db/shop?sslmode=require",
            "postgresql://shop:x$y@db,other/shop",
            "postgres://db/shop?password=$",
            "postgres://db/shop?user=shop&password=$&sslmode=prefer",
            "postgres://db/shop?paswd=$",
            "postgres://db/shop?a=b=$",
            "postgres:shop:$@db/shop",
            "postgres:/shop:$@db/shop",
            "shop:$@db/shop",
            "postgres//shop:$@db/shop",
            "POSTGRES://shop:$@db/shop",
            "postgres://shop:x$",
            "postgres://shop:x$/shop",
            "postgres://shop:a@b:$@db/shop",
            "postgres://shop@db:$@x/shop",
            "host=db user=shop password=$",
            "sqlite:x.db?key=$",
            "sqlite://shop:$@x.db",
            "mysql://root:$@db",
            "jdbc:postgresql://db/shop?password=$",
            " postgres://shop:$@db/shop",
        ];
        // Without a host of its own the end of the secret behind an `@` would be one.
        let is_clear = |shape: &&&str| shape.contains(['@', '?']) || !secret.contains('@');
        let shapes = shapes.iter().filter(is_clear);
        shapes.map(|shape| shape.replace('$', secret)).collect()
    }

    proptest! {
        #![proptest_config(Config { cases: 2_000, ..Config::default() })]

        #[test]
        fn no_address_shows_its_secret(secret in "[a-zA-Z0-9/?#@:%&=+ .,!~_-]{0,6}Hunter2[a-zA-Z0-9/?#@:%&=+ .,!~_-]{0,6}") {
            for address in around(&secret) {
                let url = StoreUrl::new(address.as_str());
                let shown = format!("{url} {url:?}");
                prop_assert!(!shown.contains("unter"), "{address} is shown as {shown}");
            }
        }
    }
}
