//! The crash button, in all its modes: the order arrives, once.

use std::{net::TcpStream, time::Duration};

use rustix::process::Signal;

use crate::store::{Store, signal, until};

/// How often the armed button is pressed in a transaction's life.
const ARM_EVERY: Duration = Duration::from_millis(350);

#[test]
fn an_order_survives_a_kill_while_it_ships() {
    let store = Store::open();
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

#[test]
fn a_kill_from_outside_is_as_good() {
    let store = Store::open();
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

#[test]
fn a_crash_before_the_payment_keeps_the_checkout_waiting() {
    let store = Store::open();
    store.post("/checkout/key");
    store.crash_now();
    let order = store.buy("key");
    assert_eq!(store.order(&order)["order_status"], 2);
    store.nothing_is_lost(1);
}

#[test]
fn every_transaction_can_be_cut_before_its_commit() {
    let store = Store::open();
    store.crash("transaction");
    assert_eq!(store.view()["process"]["armed"], true);
    let order = std::thread::scope(|scope| {
        let buying = scope.spawn(|| {
            let order = store.buy("key");
            store.dispatched(&order);
            order
        });
        // Not always: a transaction that is cut each time it runs never ends.
        while !buying.is_finished() {
            std::thread::sleep(ARM_EVERY);
            store.crash("transaction");
        }
        buying.join().unwrap()
    });
    store.crash("calm");
    assert_eq!(order, "1");
    assert_eq!(store.inventory(), 99);
    store.nothing_is_lost(1);
    let view = store.view();
    assert_eq!(view["crash"]["mode"], "transaction");
    assert!(view["process"]["crashes"].as_i64().unwrap() > 5, "{view}");
    assert_eq!(view["process"]["armed"], false);
}

#[test]
fn the_chaos_outlives_the_process_and_ends_when_told() {
    let store = Store::open();
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

#[test]
fn the_button_refuses_what_it_does_not_know() {
    let store = Store::open();
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

#[test]
fn many_crashes_in_a_row_are_survived() {
    let store = Store::open();
    let order = store.buy("key");
    for _ in 0..12 {
        store.crash_now();
    }
    store.dispatched(&order);
    store.nothing_is_lost(1);
    assert_eq!(store.view()["process"]["crashes"], 12);
}
