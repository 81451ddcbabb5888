//! The live view: what the page is told.

use serde_json::Value;

use crate::{
    place::{Place, on_both},
    store::{Store, until},
};

on_both!(
    a_store_without_orders_shows_itself,
    the_newest_checkout_is_shown_step_by_step_and_an_older_one_if_asked_for,
    a_crash_stands_between_the_steps_that_it_separates,
    a_loss_or_a_double_would_be_seen,
);

fn names(workflow: &Value) -> Vec<&str> {
    let steps = workflow["steps"].as_array().unwrap();
    steps
        .iter()
        .map(|step| step["name"].as_str().unwrap())
        .collect()
}

fn a_store_without_orders_shows_itself(place: Place) {
    let store = Store::open(place);
    let view = store.view();
    assert_eq!(view["crash"], Value::Null);
    assert_eq!(view["process"]["crashes"], 0);
    assert_eq!(view["process"]["chaos"], false);
    assert_eq!(view["process"]["armed"], false);
    assert_eq!(view["orders"].as_array().unwrap().len(), 0);
    assert!(view["now"].as_str().unwrap() >= view["process"]["started_at"].as_str().unwrap());
}

fn the_newest_checkout_is_shown_step_by_step_and_an_older_one_if_asked_for(place: Place) {
    let store = Store::open(place);
    store.buy("first");
    store.post("/checkout/second");
    let waiting = until(|| {
        let workflow = store.event("workflow", "");
        (workflow["waiting_for"] == "recv payment_status").then_some(workflow)
    });
    assert_eq!(waiting["id"], "second");
    assert_eq!(waiting["state"], "running");
    assert_eq!(
        names(&waiting),
        [
            "create_order",
            "reserve_inventory",
            "set_event payment_id",
            "recv payment_status"
        ]
    );

    let paid = store.event("workflow", "?watch=first");
    assert_eq!(paid["id"], "first");
    assert_eq!(paid["state"], "succeeded");
    assert_eq!(paid["steps"][3]["output"], "paid");
    assert_eq!(paid["steps"][5]["output"], paid["children"][0]["id"]);
    assert_eq!(paid["children"][0]["name"], "dispatch_order");
}

fn a_crash_stands_between_the_steps_that_it_separates(place: Place) {
    let store = Store::open(place);
    store.post("/checkout/key");
    store.crash_now();
    let view = until(|| {
        let view = store.view();
        view["crash"]["resumed_ms"].is_number().then_some(view)
    });
    let crash = &view["crash"];
    assert_eq!(crash["mode"], "now");
    assert_eq!(crash["workflow"], "checkout");
    assert_eq!(crash["phase"], "waiting for the payment");
    assert!(crash["restarted_ms"].as_i64().unwrap() < 1_000, "{crash}");
    assert!(
        crash["resumed_ms"].as_i64().unwrap() < store.place.resumed_ms_max(),
        "{crash}"
    );
    let workflow = store.event("workflow", "");
    assert_eq!(workflow["crashes"][0]["at"], crash["at"]);
    assert_eq!(workflow["crashes"].as_array().unwrap().len(), 1);
    assert!(workflow["crashes"][0]["replayed"].as_u64().unwrap() >= 3);
}

fn a_loss_or_a_double_would_be_seen(place: Place) {
    let store = Store::open(place);
    store.post("/checkout/key");
    store.nothing_is_lost(1);
    store
        .place
        .tamper("insert into applied (workflow_id, operation) values ('key', 'create_order')");
    assert_eq!(store.view()["applied_twice"], 1);
    store
        .place
        .tamper("update products set inventory = inventory - 1");
    let invariant = &store.view()["invariant"];
    assert_eq!(
        (&invariant["stock"], &invariant["holds"]),
        (&98.into(), &false.into())
    );
}
