//! Many workflows that wait for a message: what they cost while nothing comes.

use std::time::Duration;

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};

use super::{Error, Library, number, process};

/// Starts that are in flight together.
const STARTS: usize = 100;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub(crate) bytes_each: f64,
    /// Of one core.
    pub(crate) cpu_percent: f64,
}

/// Starts so many workflows, leaves them to themselves and looks at the process.
pub(crate) async fn waiting<L: Library>(
    library: &L,
    count: usize,
    idle: Duration,
) -> Result<Waiting, Error> {
    let before = process::resident_bytes();
    for _ in 0..count / STARTS {
        drop(try_join_all((0..STARTS).map(|_| library.start_waiter())).await?);
    }
    // What they wait for is read once; then they are quiet.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let bytes_each = (process::resident_bytes() - before) / number(count);
    let cpu = process::cpu();
    tokio::time::sleep(idle).await;
    let cpu = (process::cpu() - cpu).as_secs_f64();
    Ok(Waiting {
        bytes_each,
        cpu_percent: cpu / idle.as_secs_f64() * 100.0,
    })
}
