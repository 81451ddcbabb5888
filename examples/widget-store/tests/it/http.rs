//! Every endpoint: path, method, body, status.

use serde_json::json;

use crate::{
    place::{Place, on_both},
    store::Store,
};

on_both!(
    a_checkout_answers_its_payment_id_once_for_each_key,
    a_key_that_cannot_be_one_is_refused,
    the_webhook_answers_the_order_and_the_first_call_counts,
    a_payment_that_belongs_to_nothing_is_not_found,
    a_declined_payment_gives_the_widget_back,
    without_stock_there_is_no_checkout_until_somebody_restocks,
    an_order_that_is_not_there_is_not_found,
    the_product_is_what_it_was,
    another_site_cannot_press_a_button,
    what_cannot_be_watched_is_refused,
);

fn a_checkout_answers_its_payment_id_once_for_each_key(place: Place) {
    let store = Store::open(place);
    let first = store.post("/checkout/key-1");
    assert_eq!((first.status, first.body.as_str()), (200, "key-1"));
    assert!(
        first
            .header("content-type")
            .unwrap()
            .starts_with("text/plain")
    );
    assert_eq!(store.post("/checkout/key-1").body, "key-1");
    assert_eq!(store.inventory(), 99);
    assert_eq!(store.get("/orders").json().as_array().unwrap().len(), 1);
    let order = store.order("1");
    assert_eq!(order["order_status"], 0);
    assert_eq!(order["payment_id"], "key-1");
    assert!(order["expires_at"].as_str().unwrap() > order["last_update_time"].as_str().unwrap());
}

fn a_key_that_cannot_be_one_is_refused(place: Place) {
    let store = Store::open(place);
    let long = format!("/checkout/{}", "k".repeat(256));
    let answer = store.post(&long);
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("at most 255"), "{}", answer.body);
    assert_eq!(store.post("/checkout/a%00b").status, 400);
    assert_eq!(store.post("/checkout/").status, 404);
    assert_eq!(store.get("/checkout/key").status, 405);
    assert_eq!(store.get("/orders").json(), json!([]));
}

fn the_webhook_answers_the_order_and_the_first_call_counts(place: Place) {
    let store = Store::open(place);
    store.post("/checkout/key");
    let webhook = |status: &str| store.post(&format!("/payment_webhook/key/{status}"));
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..5).map(|_| scope.spawn(|| webhook("paid"))).collect();
        for call in calls {
            let answer = call.join().unwrap();
            assert_eq!((answer.status, answer.body.as_str()), (200, "1"));
        }
    });
    assert_eq!(webhook("failed").body, "1");
    assert_eq!(store.order("1")["order_status"], 2);
    store.nothing_is_lost(1);
}

fn a_payment_that_belongs_to_nothing_is_not_found(place: Place) {
    let store = Store::open(place);
    store.buy("key");
    let child = store.event("workflow", "")["children"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    for payment in ["unknown", &child] {
        let answer = store.post(&format!("/payment_webhook/{payment}/paid"));
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (404, "Payment failed to process")
        );
    }
    let answer = store.post("/payment_webhook/key/perhaps");
    assert_eq!(answer.status, 400);
    assert!(
        answer.body.contains("`paid` or `failed`"),
        "{}",
        answer.body
    );
}

fn a_declined_payment_gives_the_widget_back(place: Place) {
    let store = Store::open(place);
    store.post("/checkout/key");
    assert_eq!(store.inventory(), 99);
    assert_eq!(store.post("/payment_webhook/key/failed").body, "1");
    assert_eq!(store.order("1")["order_status"], -1);
    assert_eq!(store.inventory(), 100);
    let view = store.view();
    assert_eq!(
        view["invariant"],
        json!({ "stock": 100, "sold": 0, "total": 100, "holds": true })
    );
}

fn without_stock_there_is_no_checkout_until_somebody_restocks(place: Place) {
    let store = Store::open(place);
    std::thread::scope(|scope| {
        for buyer in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for n in 0..25 {
                    assert_eq!(
                        store.post(&format!("/checkout/key-{buyer}-{n}")).status,
                        200
                    );
                }
            });
        }
    });
    for _ in 0..2 {
        let answer = store.post("/checkout/late");
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (404, "Checkout failed to start")
        );
    }
    assert_eq!(store.post("/payment_webhook/late/paid").status, 404);
    assert_eq!(store.order("101")["order_status"], -1);
    assert_eq!(store.inventory(), 0);

    for _ in 0..2 {
        let restocked = store.post("/restock");
        assert_eq!((restocked.status, restocked.body.as_str()), (200, "null"));
    }
    assert_eq!(store.post("/checkout/again").status, 200);
    let view = store.view();
    assert_eq!(
        view["invariant"],
        json!({ "stock": 99, "sold": 101, "total": 200, "holds": true })
    );
    assert_eq!(
        view["orders"].as_array().unwrap().len(),
        50,
        "the page lists the newest"
    );
    assert_eq!(store.get("/orders").json().as_array().unwrap().len(), 102);
}

fn an_order_that_is_not_there_is_not_found(place: Place) {
    let store = Store::open(place);
    for id in ["1", "0", "-1", "abc", "99999999999999999999"] {
        assert_eq!(store.get(&format!("/order/{id}")).status, 404, "{id}");
    }
}

fn the_product_is_what_it_was(place: Place) {
    let product = Store::open(place).get("/product");
    assert_eq!(
        product.json(),
        json!({
            "product_id": 1,
            "product": "Premium Quality Widget",
            "description": "Enhance your productivity with our top-rated widget.",
            "inventory": 100,
            "price": 99.99,
        })
    );
}

fn another_site_cannot_press_a_button(place: Place) {
    let store = Store::open(place);
    let site = "Sec-Fetch-Site: cross-site\r\n";
    for path in ["/crash_application", "/restock", "/checkout/key"] {
        assert_eq!(
            store.ask("POST", path, "", site).unwrap().status,
            403,
            "{path}"
        );
    }
    assert_eq!(store.ask("GET", "/product", "", site).unwrap().status, 200);
}

fn what_cannot_be_watched_is_refused(place: Place) {
    let store = Store::open(place);
    let long = format!("/live?watch={}", "x".repeat(256));
    for path in [long.as_str(), "/live?watch=a%0Ab"] {
        assert_eq!(store.get(path).status, 400, "{path}");
    }
}
