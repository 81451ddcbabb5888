//! What a victim is started with: a directory, and settings as `name=value`.

use std::{path::Path, time::Duration};

use crash_tests::Files;

use crate::strike::Strike;

pub(crate) struct Arguments {
    pub(crate) files: Files,
    /// How long it may be silent before others take its workflows over.
    pub(crate) lease: Duration,
    pub(crate) recoveries_max: u32,
    /// Whether dead letters start alerts.
    pub(crate) alerts: bool,
    /// How long a part of a dispatch takes.
    pub(crate) pause: Duration,
    /// How long a workflow waits in memory.
    pub(crate) park_after: Duration,
    pub(crate) strike: Option<Strike>,
}

impl Arguments {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let directory = words.next().ok_or("the directory is missing")?;
        let mut arguments = Self {
            files: Files::below(Path::new(&directory)),
            lease: Duration::from_secs(10),
            recoveries_max: 100,
            alerts: false,
            pause: Duration::from_millis(2),
            park_after: Duration::from_secs(60),
            strike: None,
        };
        for word in words {
            let (name, value) = word
                .split_once('=')
                .ok_or_else(|| format!("`{word}` is not `name=value`"))?;
            match name {
                "lease_ms" => arguments.lease = Duration::from_millis(number(value)?),
                "pause_ms" => arguments.pause = Duration::from_millis(number(value)?),
                "park_after_ms" => arguments.park_after = Duration::from_millis(number(value)?),
                "alerts" => arguments.alerts = value == "true",
                "recoveries_max" => arguments.recoveries_max = number(value)?,
                "strike" => arguments.strike = Some(value.parse()?),
                _ => return Err(format!("there is no setting `{name}`")),
            }
        }
        Ok(arguments)
    }
}

fn number<T: std::str::FromStr>(value: &str) -> Result<T, String> {
    value
        .parse()
        .map_err(|_| format!("`{value}` is not a number that fits"))
}
