//! What the environment sets: `PORT` and `DATABASE_URL`.

use std::env;

use stepwell::bail;

use crate::shop::database_file;

const PORT: u16 = 8000;
const DATABASE_URL: &str = "sqlite:widget-store.db";

/// Where the store listens and keeps its data.
#[derive(Debug, Clone)]
pub struct Config {
    /// The port; 0 takes a free one.
    pub port: u16,
    /// The shop's database: products and orders.
    pub shop_url: String,
    /// The database that keeps the workflows, a second file beside the shop's. SQLite lets one
    /// connection write at a time, so in one file the shop's transactions and Stepwell's records
    /// would wait for each other. Exactly once holds across the two.
    pub workflows_url: String,
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
        let workflows = database_file(&shop_url)?.with_extension("stepwell.db");
        Ok(Self {
            port,
            shop_url,
            workflows_url: format!("sqlite:{}", workflows.display()),
        })
    }
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
    fn the_workflows_lie_beside_the_shop() {
        let config = read("8001", "sqlite:///srv/shop.sqlite").unwrap();
        assert_eq!(config.workflows_url, "sqlite:/srv/shop.stepwell.db");
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        assert!(read("http", "").unwrap_err().contains("PORT is `http`"));
        assert!(read("65536", "").unwrap_err().contains("PORT is `65536`"));
        for url in [
            "postgres://db/shop",
            "sqlite:",
            "sqlite::memory:",
            "shop.db",
        ] {
            assert!(read("", url).unwrap_err().contains(url), "{url}");
        }
    }
}
