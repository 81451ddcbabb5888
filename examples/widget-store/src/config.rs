//! What the environment sets: `PORT` and `DATABASE_URL`.

use std::{env, fmt, path::PathBuf};

use stepwell::{bail, store::StoreUrl};

const PORT: u16 = 8000;
const DATABASE_URL: &str = "sqlite:widget-store.db";

/// Where the store listens and keeps its data.
#[derive(Clone)]
pub struct Config {
    /// The port; 0 takes a free one.
    pub port: u16,
    /// The shop's database: products and orders.
    pub shop_url: String,
    /// The database that keeps the workflows. In Postgres it is the shop's, where Stepwell has a
    /// schema of its own. For SQLite it is a second file beside the shop's: SQLite lets one
    /// connection write at a time, so in one file the shop's transactions and Stepwell's records
    /// would wait for each other. Exactly once holds across the two.
    pub workflows_url: String,
}

/// Without the passwords of its addresses.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("port", &self.port)
            .field("shop_url", &StoreUrl::new(self.shop_url.as_str()))
            .field("workflows_url", &StoreUrl::new(self.workflows_url.as_str()))
            .finish()
    }
}

impl Config {
    /// Reads the environment.
    ///
    /// # Errors
    /// A sentence that names the variable and its value, if it makes no sense.
    pub fn from_env() -> stepwell::Result<Self> {
        Self::new(env::var("PORT").ok(), env::var("DATABASE_URL").ok())
    }

    fn new(port: Option<String>, url: Option<String>) -> stepwell::Result<Self> {
        let port = match port.filter(|port| !port.is_empty()) {
            None => PORT,
            Some(text) => match text.parse() {
                Ok(port) => port,
                Err(_) => {
                    bail!("PORT is `{text}`; write a number from 0 to 65535, as in PORT=8001")
                }
            },
        };
        let shop_url = url
            .filter(|url| !url.is_empty())
            .unwrap_or_else(|| DATABASE_URL.to_owned());
        Ok(Self {
            port,
            workflows_url: workflows_url(&shop_url)?,
            shop_url,
        })
    }
}

/// Where the workflows of a shop are kept.
fn workflows_url(shop_url: &str) -> stepwell::Result<String> {
    let address = StoreUrl::new(shop_url);
    match address.scheme() {
        "sqlite" => {
            let workflows = database_file(shop_url)?.with_extension("stepwell.db");
            Ok(format!("sqlite:{}", workflows.display()))
        }
        "postgres" | "postgresql" => Ok(shop_url.to_owned()),
        _ => bail!(
            "DATABASE_URL is `{address}`, which names neither SQLite nor Postgres; write \
             `sqlite:shop.db` or `postgres://user:password@host/shop`"
        ),
    }
}

/// The file that a URL of SQLite names, taken as it stands.
fn database_file(url: &str) -> stepwell::Result<PathBuf> {
    let rest = url.strip_prefix("sqlite:").unwrap_or_default();
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.is_empty() || path == ":memory:" || path.contains('?') {
        bail!(
            "DATABASE_URL is `{}`, which names no file to survive a crash in; write \
             `sqlite:shop.db`",
            StoreUrl::new(url)
        );
    }
    Ok(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(port: &str, url: &str) -> Result<Config, String> {
        Config::new(Some(port.to_owned()), Some(url.to_owned())).map_err(|e| e.to_string())
    }

    #[test]
    fn without_an_environment_everything_has_a_place() {
        let config = Config::new(None, None).unwrap();
        assert_eq!(config.port, 8000);
        assert_eq!(config.shop_url, "sqlite:widget-store.db");
        assert_eq!(config.workflows_url, "sqlite:widget-store.stepwell.db");
    }

    #[test]
    fn no_password_is_shown() {
        let config = read("8000", "postgres://shop:s3cr3t@db/shop").unwrap();
        assert!(!format!("{config:?}").contains("s3cr3t"), "{config:?}");
        let refused = read("8000", "sqlite:shop.db?key=s3cr3t").unwrap_err();
        assert!(!refused.contains("s3cr3t"), "{refused}");
    }

    #[test]
    fn the_workflows_lie_beside_the_shop() {
        let config = read("8001", "sqlite:///srv/shop.sqlite").unwrap();
        assert_eq!(config.workflows_url, "sqlite:/srv/shop.stepwell.db");
    }

    #[test]
    fn in_postgres_the_workflows_are_in_the_shops_database() {
        for url in ["postgres://shop@db/shop", "postgresql://db:5433/shop"] {
            let config = read("8001", url).unwrap();
            assert_eq!((&*config.shop_url, &*config.workflows_url), (url, url));
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let said = read("", "mysql://shop:s3cr3t@db/shop").unwrap_err();
        assert!(said.contains("`mysql://…@db/shop`"), "{said}");
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        assert!(read("http", "").unwrap_err().contains("PORT is `http`"));
        assert!(read("65536", "").unwrap_err().contains("PORT is `65536`"));
        for url in ["mysql://db/shop", "sqlite:", "sqlite::memory:", "shop.db"] {
            assert!(read("", url).unwrap_err().contains(url), "{url}");
        }
    }
}
