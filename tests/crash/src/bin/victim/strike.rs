//! The victim counts how often it comes to each crash point, and may kill or stop itself there.

use std::{
    str::FromStr,
    sync::atomic::{AtomicU64, Ordering},
};

use crash_tests::{POINTS, log::now};
use rustix::process::{Signal, getpid, kill_process};

static HITS: [AtomicU64; POINTS.len()] = [const { AtomicU64::new(0) }; POINTS.len()];

/// `<point>#<n>#<kill or stop>`: what happens at the n-th time that a point is reached.
pub(crate) struct Strike {
    point: String,
    at: u64,
    signal: Signal,
}

impl FromStr for Strike {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not `point#number#kill`");
        let parts: Vec<&str> = text.split('#').collect();
        let [point, at, how] = parts[..] else {
            return Err(wrong());
        };
        Ok(Self {
            point: point.to_owned(),
            at: at.parse().map_err(|_| wrong())?,
            signal: match how {
                "kill" => Signal::KILL,
                "stop" => Signal::STOP,
                _ => return Err(wrong()),
            },
        })
    }
}

/// Counts at every point from now on, and strikes at one of them.
pub(crate) fn arm(strike: Option<&Strike>) -> Result<(), String> {
    if let Some(strike) = strike
        && !POINTS.contains(&strike.point.as_str())
    {
        return Err(format!("there is no crash point `{}`", strike.point));
    }
    for (index, point) in POINTS.into_iter().enumerate() {
        let strike = strike.filter(|strike| strike.point == point);
        let strike = strike.map(|strike| (strike.at, strike.signal));
        fail::cfg_callback(point, move || {
            let hits = HITS[index].fetch_add(1, Ordering::SeqCst) + 1;
            if let Some((at, signal)) = strike
                && hits == at
            {
                send(signal);
            }
        })?;
    }
    Ok(())
}

/// How long a victim is stopped at least: far longer than a thread waits for its turn.
const STOPPED_MIN: u64 = 500_000_000;

/// Sends the process a signal. A kill does not return; a stop returns when the process goes on.
pub(crate) fn send(signal: Signal) {
    let mut last = now();
    if kill_process(getpid(), signal).is_err() {
        // A victim that outlives its death would make the test say nothing.
        std::process::abort();
    }
    if signal != Signal::STOP {
        return;
    }
    // Any thread may be the first to take a stop, and this one would go on for a moment: it goes
    // nowhere before it has seen the time jump.
    loop {
        let now = now();
        if now - last > STOPPED_MIN {
            return;
        }
        last = now;
    }
}

/// How often each point was reached.
pub(crate) fn hits() -> String {
    let counts = POINTS.iter().zip(&HITS);
    let counts = counts.map(|(point, hits)| format!("{point}={}", hits.load(Ordering::SeqCst)));
    counts.collect::<Vec<_>>().join(" ")
}
