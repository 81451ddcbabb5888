//! What an executor is started with: two databases, a log, and settings as `name=value`.

use std::{path::PathBuf, time::Duration};

pub(crate) struct Arguments {
    /// The database that keeps the workflows.
    pub(crate) store: String,
    /// The user's database.
    pub(crate) shop: String,
    /// Where its workflows write what they really did.
    pub(crate) log: PathBuf,
    /// How long it may be silent before others take its workflows over; the default if it is not
    /// said.
    pub(crate) lease: Option<Duration>,
    /// How long a step takes.
    pub(crate) pace: Duration,
}

impl Arguments {
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let words: Vec<String> = words.collect();
        let [store, shop, log, settings @ ..] = words.as_slice() else {
            return Err("write `fleet STORE SHOP LOG [name=value …]`".to_owned());
        };
        let mut arguments = Self {
            store: store.clone(),
            shop: shop.clone(),
            log: log.into(),
            lease: None,
            pace: Duration::from_millis(60),
        };
        for setting in settings {
            let (name, value) = setting
                .split_once('=')
                .ok_or_else(|| format!("`{setting}` is not `name=value`"))?;
            let millis = value
                .parse()
                .map(Duration::from_millis)
                .map_err(|_| format!("`{value}` is no number of milliseconds"))?;
            match name {
                "lease_ms" => arguments.lease = Some(millis),
                "pace_ms" => arguments.pace = millis,
                _ => return Err(format!("there is no setting `{name}`")),
            }
        }
        Ok(arguments)
    }
}
