//! What an executor tells the store when it looks for dead ones: the time through which the database
//! answered it, and no other.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use stepwell::{App, store::Store};
use tokio::time::timeout;

use crate::faults::{Faulty, Look};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

const LEASE: Duration = Duration::from_secs(1);

async fn launch(store: &Arc<Faulty>) -> App {
    let app = App::builder("looks").store(Arc::<Faulty>::clone(store));
    app.lease(LEASE).launch().await.unwrap()
}

/// The first look of which something holds, and those behind it.
async fn look(store: &Faulty, holds: impl Fn(&Look) -> bool) -> Vec<Look> {
    let found = async {
        loop {
            let looks = store.looks.lock().unwrap().clone();
            if let Some(place) = looks.iter().position(&holds) {
                return looks[place..].to_vec();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, found).await.expect("no such look")
}

/// Others cannot renew either: they must not be judged by that time.
#[tokio::test]
async fn while_no_renewal_is_answered_an_executor_vouches_for_no_time() {
    let store = Faulty::new().await;
    let app = launch(&store).await;
    look(&store, |look| !look.asked.answered_for.is_zero()).await;
    store.renewals_to_lose.store(u32::MAX, SeqCst);
    let begins = async {
        while store.renewals_to_lose.load(SeqCst) == u32::MAX {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, begins).await.expect("it renews");
    // The last answer came before this.
    let latest = store.now() + LEASE / 2;
    let late = look(&store, |look| look.now > latest).await;
    assert_eq!(late[0].asked.answered_for, Duration::ZERO);
    assert!(late[0].asked.at <= latest, "{late:?}");
    app.shutdown().await;
}

#[tokio::test]
async fn a_look_that_is_not_answered_begins_the_time_anew() {
    let store = Faulty::new().await;
    let app = launch(&store).await;
    // Longer than from one look to the next.
    look(&store, |look| look.asked.answered_for > LEASE * 2).await;
    store.looks_to_lose.store(1, SeqCst);
    let lost = look(&store, |look| look.is_lost).await.remove(0);
    let behind = look(&store, |look| look.begun > lost.begun).await;
    let since = behind[0].begun - lost.begun;
    assert!(behind[0].asked.answered_for <= since, "{behind:?}");
    app.shutdown().await;
}
