//! The crash button, in all its modes: the order arrives, once.

use std::net::TcpStream;

use rustix::process::Signal;

use crate::{
    place::{Place, on_both},
    store::{Store, signal, until},
};

/// How many transactions of the newest checkout are recorded.
fn transactions(store: &Store) -> usize {
    // No event comes before there is a checkout.
    let Some(checkout) = store.first_event("workflow", "") else {
        return 0;
    };
    let children = checkout["children"].as_array().unwrap();
    let workflows = std::iter::once(&checkout).chain(children);
    let steps = workflows.flat_map(|workflow| workflow["steps"].as_array().unwrap());
    steps.filter(|step| step["kind"] == "transaction").count()
}

on_both!(
    an_order_survives_a_kill_while_it_ships,
    a_kill_from_outside_is_as_good,
    a_crash_before_the_payment_keeps_the_checkout_waiting,
    every_transaction_can_be_cut_before_its_commit,
    the_chaos_outlives_the_process_and_ends_when_told,
    the_button_refuses_what_it_does_not_know,
    many_crashes_in_a_row_are_survived,
);

fn an_order_survives_a_kill_while_it_ships(place: Place) {
    let store = Store::open(place);
    let order = store.buy("key");
    until(|| (store.order(&order)["progress_remaining"].as_i64()? < 9).then_some(()));
    store.crash_now();
    assert_eq!(store.order(&order)["order_status"], 2);
    store.dispatched(&order);
    assert_eq!(store.order(&order)["progress_remaining"], 0);
    assert_eq!(store.post("/payment_webhook/key/paid").body, order);
    assert_eq!(store.inventory(), 99);
    store.nothing_is_lost(1);
    let view = store.view();
    assert_eq!(view["process"]["crashes"], 1);
    assert_eq!(view["crash"]["workflow"], "dispatch_order");
    assert!(store.printed.lock().unwrap()[1].contains("died by kill -9"));
}

fn a_kill_from_outside_is_as_good(place: Place) {
    let store = Store::open(place);
    let order = store.buy("key");
    let worker = store.worker();
    signal(worker, Signal::KILL);
    // Nobody is refused meanwhile.
    assert!(TcpStream::connect(("127.0.0.1", store.port)).is_ok());
    until(|| (store.worker() != worker).then_some(()));
    until(|| (store.order(&order)["progress_remaining"].as_i64()? < 10).then_some(()));
    store.nothing_is_lost(1);
    assert_eq!(store.view()["crash"]["mode"], "now");
}

fn a_crash_before_the_payment_keeps_the_checkout_waiting(place: Place) {
    let store = Store::open(place);
    store.post("/checkout/key");
    store.crash_now();
    let order = store.buy("key");
    assert_eq!(store.order(&order)["order_status"], 2);
    store.nothing_is_lost(1);
}

fn every_transaction_can_be_cut_before_its_commit(place: Place) {
    let store = Store::open(place);
    store.crash("transaction");
    assert_eq!(store.view()["process"]["armed"], true);
    let order = std::thread::scope(|scope| {
        let buying = scope.spawn(|| store.buy("key"));
        let is_over = || {
            let orders = store.get("/orders").json();
            buying.is_finished() && orders[0]["order_status"] == 1
        };
        // Each one is cut once: one that is cut each time it runs never ends.
        while !is_over() {
            let before = transactions(&store);
            store.crash("transaction");
            until(|| (transactions(&store) > before || is_over()).then_some(()));
        }
        buying.join().unwrap()
    });
    store.crash("calm");
    // The number of a transaction that was cut is not used again in Postgres.
    assert_eq!(
        store.get("/orders").json()[0]["order_id"].to_string(),
        order
    );
    assert_eq!(store.inventory(), 99);
    store.nothing_is_lost(1);
    let view = store.view();
    assert_eq!(view["crash"]["mode"], "transaction");
    assert!(view["process"]["crashes"].as_i64().unwrap() > 5, "{view}");
    assert_eq!(view["process"]["armed"], false);
}

fn the_chaos_outlives_the_process_and_ends_when_told(place: Place) {
    let store = Store::open(place);
    assert_eq!(store.crash("chaos").unwrap().status, 200);
    let order = store.buy("key");
    until(|| (store.view()["process"]["crashes"].as_i64()? >= 2).then_some(()));
    let view = store.view();
    assert_eq!(view["process"]["chaos"], true);
    assert_eq!(view["crash"]["mode"], "chaos");
    until(|| store.crash("calm"));
    assert_eq!(store.view()["process"]["chaos"], false);
    store.dispatched(&order);
    store.nothing_is_lost(1);
}

fn the_button_refuses_what_it_does_not_know(place: Place) {
    let store = Store::open(place);
    let worker = store.worker();
    let answer = store.crash("softly").unwrap();
    assert_eq!(answer.status, 400);
    assert!(
        answer.body.contains("unknown variant `softly`"),
        "{}",
        answer.body
    );
    assert_eq!(
        store
            .ask("POST", "/crash_application", "{", "")
            .unwrap()
            .status,
        400
    );
    assert_eq!(store.worker(), worker);
    // No body at all means now.
    let answer = store.ask("POST", "/crash_application", "", "").unwrap();
    assert_eq!(answer.status, 200);
    until(|| (store.worker() != worker).then_some(()));
}

fn many_crashes_in_a_row_are_survived(place: Place) {
    let store = Store::open(place);
    let order = store.buy("key");
    for _ in 0..12 {
        store.crash_now();
    }
    store.dispatched(&order);
    store.nothing_is_lost(1);
    assert_eq!(store.view()["process"]["crashes"], 12);
}
