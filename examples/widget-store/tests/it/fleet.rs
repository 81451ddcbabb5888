//! Several stores on one database of Postgres: kill any of them, and the others go on.

use std::sync::Arc;

use rustix::process::Signal;
use serde_json::Value;

use crate::{
    place::Place,
    store::{Store, signal, until},
};

/// Three stores, if there is a server.
fn fleet() -> Option<[Store; 3]> {
    let place = Arc::new(Place::postgres()?);
    Some([(); 3].map(|()| Store::open_in(Arc::clone(&place))))
}

/// Kills a store whole: the worker and the supervisor that would start it again.
fn kill(mut store: Store) {
    let worker = store.worker();
    signal(store.supervisor.id(), Signal::KILL);
    signal(worker, Signal::KILL);
    store.supervisor.wait().unwrap();
}

fn progress(store: &Store, order: &str) -> i64 {
    let order = store.order(order);
    order["progress_remaining"].as_i64().unwrap()
}

/// The crashes that met a checkout or its dispatch.
fn crashes(workflow: &Value) -> Vec<Value> {
    let children = workflow["children"].as_array().unwrap();
    std::iter::once(workflow)
        .chain(children)
        .flat_map(|workflow| workflow["crashes"].as_array().unwrap().clone())
        .collect()
}

#[test]
fn what_one_store_sells_every_store_shows() {
    let Some([a, b, c]) = fleet() else { return };
    assert_eq!(a.post("/checkout/key").body, "key");
    assert_eq!(b.post("/checkout/key").body, "key", "the same checkout");
    assert_eq!(c.post("/payment_webhook/key/paid").body, "1");
    for store in [&a, &b, &c] {
        assert_eq!(store.inventory(), 99);
        assert_eq!(store.event("workflow", "")["id"], "key");
        store.nothing_is_lost(1);
    }
    c.dispatched("1");
}

#[test]
fn an_order_goes_on_in_another_store_when_its_own_is_killed() {
    let Some([a, b, c]) = fleet() else { return };
    let order = a.buy("key");
    until(|| (progress(&b, &order) < 9).then_some(()));
    kill(a);
    b.dispatched(&order);
    for store in [&b, &c] {
        assert_eq!(progress(store, &order), 0);
        assert_eq!(store.post("/payment_webhook/key/paid").body, order);
        store.nothing_is_lost(1);
        let met = crashes(&store.event("workflow", "?watch=key"));
        assert_eq!(met.len(), 1, "{met:?}");
        assert!(met[0]["replayed"].as_u64().unwrap() > 0, "{met:?}");
        assert_eq!(
            store.view()["crash"],
            Value::Null,
            "it was not this process"
        );
    }
}

#[test]
fn a_payment_reaches_a_checkout_whose_store_is_gone() {
    let Some([a, b, _c]) = fleet() else { return };
    a.post("/checkout/key");
    kill(a);
    assert_eq!(b.post("/payment_webhook/key/paid").body, "1");
    b.dispatched("1");
    b.nothing_is_lost(1);
}

/// The supervisor saw the worker die, and whoever goes on shows when that was.
#[test]
fn every_store_shows_when_a_worker_died() {
    let Some([a, b, _c]) = fleet() else { return };
    a.post("/checkout/key");
    a.crash_now();
    let crash = until(|| {
        let crash = a.view()["crash"].clone();
        crash["resumed_ms"].is_number().then_some(crash)
    });
    assert_eq!(crash["workflow"], "checkout");
    assert_eq!(crash["phase"], "waiting for the payment");
    for store in [&a, &b] {
        let met = crashes(&store.event("workflow", ""));
        assert_eq!(met.len(), 1, "{met:?}");
        assert_eq!(met[0]["at"], crash["at"]);
        assert_eq!(store.view()["process"]["crashes"], 1);
    }
    assert_eq!(b.view()["crash"], Value::Null, "it was not this process");
}

/// What is armed or going on is so in the process that was told, and in no other one.
#[test]
fn each_store_has_its_own_crash_button() {
    let Some([a, b, _c]) = fleet() else { return };
    let calm = b.worker();
    a.crash("transaction");
    assert_eq!(a.view()["process"]["armed"], true);
    assert_eq!(b.view()["process"]["armed"], false);
    let order = b.buy("untouched");
    let died = a.worker();
    a.post("/checkout/cut");
    assert_ne!(a.worker(), died, "its first transaction was cut");
    assert_eq!(a.view()["crash"]["mode"], "transaction");
    assert_eq!(a.view()["process"]["armed"], false);

    a.crash("chaos");
    let chaotic = a.worker();
    until(|| (a.worker() != chaotic).then_some(()));
    assert_eq!(a.view()["process"]["chaos"], true);
    assert_eq!(b.view()["process"]["chaos"], false);
    b.dispatched(&order);
    assert_eq!(b.worker(), calm);
    until(|| a.crash("calm"));
    b.buy("cut");
    b.nothing_is_lost(2);
}

#[test]
fn every_store_can_die_in_turn() {
    let Some([a, b, c]) = fleet() else { return };
    let order = a.buy("key");
    for store in [&a, &b, &c] {
        store.crash_now();
    }
    let left = c;
    kill(a);
    kill(b);
    left.dispatched(&order);
    left.nothing_is_lost(1);
}
