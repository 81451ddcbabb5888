//! What the environment says.

use std::{env, fmt};

use stepwell::bail;

const PORT: u16 = 8000;

/// Where the processor listens, and what it is connected to. A source that is not set is not there.
#[derive(Clone)]
pub struct Config {
    /// `PORT`; 0 takes a free one.
    pub port: u16,
    /// `DATABASE_URL`: the tables, and the workflows in a schema of their own.
    pub database_url: String,
    /// `STRIPE_SECRET`: `whsec_…`.
    pub stripe_secret: Option<String>,
    /// `GITHUB_SECRET`.
    pub github_secret: Option<String>,
    /// `PARTNER_SECRET`: of a partner who signs with HMAC-SHA256.
    pub partner_secret: Option<String>,
    /// `KAFKA_BROKERS`: `host:port`, several with commas between.
    pub kafka_brokers: Option<String>,
    /// `KAFKA_SETTINGS`: [properties of
    /// librdkafka](https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md), such as
    /// `security.protocol=sasl_ssl sasl.username=…`, with blanks between.
    pub kafka_settings: Vec<(String, String)>,
    /// `ORDERS_QUEUE_URL`: the queue of SQS. Region, credentials and endpoint are found as in every AWS
    /// program (`AWS_REGION`, `AWS_ENDPOINT_URL`, …).
    pub orders_queue_url: Option<String>,
    /// `OPERATOR_TOKEN`: who has it may look at dead letters and try them again.
    pub operator_token: Option<String>,
}

/// Without the secrets.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("port", &self.port)
            .field("kafka_brokers", &self.kafka_brokers)
            .field("orders_queue_url", &self.orders_queue_url)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// Reads the environment.
    ///
    /// # Errors
    /// A sentence that names the variable, if it is missing or makes no sense.
    pub fn from_env() -> stepwell::Result<Self> {
        Self::read(|name| env::var(name).ok())
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> stepwell::Result<Self> {
        // Set to nothing is not set: that is how compose files leave a variable out.
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let Some(database_url) = variable("DATABASE_URL") else {
            bail!(
                "DATABASE_URL is not set; write DATABASE_URL=postgres://user:password@host/database, or \
                 let `examples/event-processor/services` start a database and everything else"
            )
        };
        let port = match variable("PORT") {
            None => PORT,
            Some(text) => match text.parse() {
                Ok(port) => port,
                Err(_) => {
                    bail!("PORT is `{text}`; write a number from 0 to 65535, as in PORT=8001")
                }
            },
        };
        Ok(Self {
            port,
            database_url,
            stripe_secret: variable("STRIPE_SECRET"),
            github_secret: variable("GITHUB_SECRET"),
            partner_secret: variable("PARTNER_SECRET"),
            kafka_brokers: variable("KAFKA_BROKERS"),
            kafka_settings: settings(&variable("KAFKA_SETTINGS").unwrap_or_default())?,
            orders_queue_url: variable("ORDERS_QUEUE_URL"),
            operator_token: variable("OPERATOR_TOKEN"),
        })
    }
}

/// `name=value name=value`.
fn settings(text: &str) -> stepwell::Result<Vec<(String, String)>> {
    let read = |word: &str| match word.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        // The word may be a part of a secret that has a blank in it.
        None => bail!("KAFKA_SETTINGS is no list of `name=value` with blanks between"),
    };
    text.split_whitespace().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &[(&str, &str)]) -> stepwell::Result<Config> {
        Config::read(|name| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn what_is_not_set_is_not_there() {
        let config = read(&[("DATABASE_URL", "postgres://db/e"), ("STRIPE_SECRET", "")]).unwrap();
        assert_eq!((config.port, config.stripe_secret), (8000, None));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let said = read(&[]).unwrap_err().to_string();
        assert!(said.contains("DATABASE_URL is not set"), "{said}");
        let set = [("DATABASE_URL", "postgres://db/e"), ("PORT", "http")];
        let said = read(&set).unwrap_err().to_string();
        assert!(said.contains("PORT is `http`"), "{said}");
        let set = [
            ("DATABASE_URL", "postgres://db/e"),
            ("KAFKA_SETTINGS", "a=b secret"),
        ];
        let said = read(&set).unwrap_err().to_string();
        assert!(said.contains("no list of `name=value`"), "{said}");
        assert!(!said.contains("secret"), "{said}");
    }

    #[test]
    fn secrets_are_not_printed() {
        let set = [
            ("DATABASE_URL", "postgres://me:hunter2@db/e"),
            ("STRIPE_SECRET", "hunter2"),
            ("OPERATOR_TOKEN", "hunter2"),
            ("KAFKA_SETTINGS", "sasl.password=hunter2"),
        ];
        assert!(!format!("{:?}", read(&set).unwrap()).contains("hunter2"));
    }
}
