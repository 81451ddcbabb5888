//! Hearing what other processes write, in a process that runs no workflows: a web server, a console,
//! a command line.

use std::{sync::Arc, time::Duration};

use tracing::debug;

use crate::{hub::Hub, store::Store};

/// How often a store is asked that gave no hint: behind a pooler Postgres gives none.
const ASK_ANYWAY: Duration = Duration::from_secs(1);

/// Hears what other processes write and wakes those who wait for it, for ever. An engine does so by
/// itself: two that hear would take each other's news.
pub(crate) async fn hear(store: Arc<dyn Store>, hub: Arc<Hub>) {
    loop {
        // A time limit that is over is a reason to ask as well.
        drop(tokio::time::timeout(ASK_ANYWAY, store.told()).await);
        match store.news().await {
            Ok(news) => hub.hear(news),
            // Those who wait look by themselves after a while, and they say what they meet.
            Err(error) => {
                debug!(%error, "could not ask what others have written");
                tokio::time::sleep(ASK_ANYWAY).await;
            }
        }
    }
}
