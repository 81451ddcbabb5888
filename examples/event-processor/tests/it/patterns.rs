//! Each pattern by itself, over its routes. Workflows are kept in memory, the tables in Postgres.

use axum::{body::Body, http::Request};
use event_processor::{
    alerts::page, config::Config, inventory, orders, processor::Processor, server::router,
    sources::sources,
};
use http_body_util::BodyExt;
use scratch::Database;
use serde_json::{Value, json};
use stepwell::{
    App, Workflow,
    axum::testing::TestApp,
    events::{Delivery, event_id},
    otel::Prometheus,
    testing::Harness,
};

use crate::sign::{self, Headers, SECRET, hexed};

const TOKEN: &str = "the-one-on-call";

struct Place {
    test: TestApp<Processor>,
    /// Dropped last.
    _database: Database,
}

/// None, and a line that says so, without a server.
async fn place() -> Option<Place> {
    let database = Database::new("events")?;
    let processor = Processor::open(database.url()).await.unwrap();
    let config = Config {
        port: 0,
        database_url: database.url().to_owned(),
        stripe_secret: Some(SECRET.to_owned()),
        github_secret: Some(SECRET.to_owned()),
        partner_secret: Some(SECRET.to_owned()),
        kafka_brokers: None,
        kafka_settings: Vec::new(),
        orders_queue_url: None,
        operator_token: Some(TOKEN.to_owned()),
    };
    let prometheus = Prometheus::new().unwrap();
    let builder = App::builder("event-processor")
        .state(processor)
        .observer(prometheus.metrics());
    let harness = Harness::with(builder).await;
    let sources = sources(&harness.app, &config).await.unwrap();
    let test = TestApp::with(harness, |app: App<Processor>| {
        router(&app, &sources, &prometheus, config.operator_token)
    });
    Some(Place {
        test,
        _database: database,
    })
}

impl Place {
    async fn ask(&self, method: &str, path: &str, headers: &Headers, body: &str) -> (u16, String) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = self.test.oneshot(request).await;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, &Vec::new(), "").await;
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    async fn post(&self, path: &str, headers: &Headers, body: &Value) -> (u16, Value) {
        let mut headers = headers.clone();
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
        let (status, body) = self.ask("POST", path, &headers, &body.to_string()).await;
        (status, serde_json::from_str(&body).unwrap())
    }

    /// With an idempotency key.
    async fn post_once(&self, path: &str, key: &str, body: &Value) -> (u16, Value) {
        let headers = vec![("idempotency-key".to_owned(), key.to_owned())];
        self.post(path, &headers, body).await
    }

    /// What a workflow comes to.
    async fn result<W: Workflow<State = Processor>>(&self, id: &str) -> Result<W::Output, String> {
        let result = self.test.app().handle::<W>(id).result().await;
        result.map_err(|error| error.to_string())
    }

    async fn asked(&self, service: &str) -> Vec<String> {
        let asked = self.get("/outside").await;
        let asked = asked.as_array().unwrap().iter();
        let of_it = asked.filter(|one| one["service"] == service);
        of_it
            .map(|one| one["what"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// Makes a test of a case that needs a place.
macro_rules! at_a_place {
    ($($case:ident),* $(,)?) => {
        mod at_a_place {
            $(
                #[tokio::test]
                async fn $case() {
                    if let Some(place) = super::place().await {
                        super::$case(place).await;
                    }
                }
            )*
        }
    };
}

at_a_place!(
    a_webhook_is_logged_and_acted_upon_once,
    what_nobody_signed_is_refused,
    an_event_without_its_form_is_a_dead_letter_for_operators,
    stock_that_runs_low_is_told,
    an_order_is_taken_once_however_often_it_is_sent,
    a_payment_is_charged_once_for_each_key,
    an_account_follows_from_its_events,
    readings_alike_are_one,
    metrics_tell_what_came,
    operators_are_paged,
    a_text_that_is_no_name_is_its_senders_mistake,
);

async fn a_webhook_is_logged_and_acted_upon_once(place: Place) {
    let push = json!({ "ref": "refs/heads/main", "repository": { "full_name": "ann/shop" } });
    let headers = sign::github("72d3", &push.to_string());
    for duplicate in [false, true] {
        let (status, answer) = place.post("/webhooks/github", &headers, &push).await;
        let expected = json!({ "id": "github~event-72d3", "duplicate": duplicate });
        assert_eq!((status, answer), (200, expected));
    }
    let done = place.result::<event_processor::events::process_event>("github~event-72d3");
    assert_eq!(
        serde_json::to_value(done.await.unwrap().status).unwrap()["build_begun"],
        "builds-1"
    );
    assert_eq!(place.asked("builds").await, ["ann/shop at refs/heads/main"]);
    let partners = json!({ "hello": "world" });
    let headers = [
        ("x-signature", hexed(&[partners.to_string().as_bytes()])),
        ("x-event-id", "17".to_owned()),
        ("x-event-type", "greeting".to_owned()),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value)).into();
    assert_eq!(
        place.post("/webhooks/partner", &headers, &partners).await.0,
        200
    );
    let ignored = place
        .result::<event_processor::events::process_event>("partner~event-17")
        .await;
    assert_eq!(
        serde_json::to_value(ignored.unwrap().status).unwrap(),
        "ignored"
    );
    let log = place.get("/event-log").await;
    let log: Vec<_> = log
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["kind"])
        .collect();
    assert_eq!(log, ["greeting", "push"]);
}

async fn what_nobody_signed_is_refused(place: Place) {
    let event = json!({ "id": "evt_1", "type": "payment_intent.succeeded" });
    let mut headers = sign::stripe(&event.to_string());
    assert_eq!(
        place.post("/webhooks/stripe", &headers, &json!({})).await.0,
        401
    );
    headers[0].1.push('0');
    assert_eq!(
        place.post("/webhooks/stripe", &headers, &event).await.0,
        401
    );
    assert_eq!(
        place.post("/webhooks/stripe", &Vec::new(), &event).await.0,
        400
    );
    assert_eq!(place.get("/event-log").await, json!([]));
}

async fn an_event_without_its_form_is_a_dead_letter_for_operators(place: Place) {
    let event = json!({ "id": "evt_1", "type": "payment_intent.succeeded", "data": {} });
    let headers = sign::stripe(&event.to_string());
    assert_eq!(
        place.post("/webhooks/stripe", &headers, &event).await.0,
        200
    );
    let failed = place.result::<event_processor::events::process_event>("stripe~event-evt_1");
    let failed = failed.await.unwrap_err();
    assert!(failed.contains("does not have its form"), "{failed}");
    let stranger = vec![("authorization".to_owned(), "Bearer nobody".to_owned())];
    for refused in [Vec::new(), stranger] {
        let (status, _) = place
            .ask("GET", "/dead-letters/letters", &refused, "")
            .await;
        assert_eq!(status, 403);
    }
    let operator = vec![("authorization".to_owned(), format!("Bearer {TOKEN}"))];
    let (status, letters) = place
        .ask("GET", "/dead-letters/letters", &operator, "")
        .await;
    assert_eq!(status, 200);
    assert!(letters.contains("stripe~event-evt_1"), "{letters}");
    // The order comes after all, and the event is mended.
    let order = json!({ "order_id": "o-1", "customer_id": "ann", "items": [] });
    let message = Delivery::new("sqs", "m-1", order.to_string());
    place
        .test
        .app()
        .run(orders::order(&message).unwrap())
        .await
        .unwrap();
    let object = json!({ "id": "pi_1", "metadata": { "order_id": "o-1" } });
    let mended = json!({ "id": "evt_1", "type": event["type"], "data": { "object": object } });
    let input = json!([{
        "id": "evt_1", "source": "stripe", "kind": event["type"], "payload": mended, "metadata": {},
    }]);
    let redrive = "/dead-letters/letters/stripe~event-evt_1/redrive";
    let (status, again) = place
        .post(redrive, &operator, &json!({ "input": input }))
        .await;
    assert_eq!(status, 200, "{again}");
    let again = again["again"].as_str().unwrap();
    place
        .result::<event_processor::events::process_event>(again)
        .await
        .unwrap();
    let order = place.get("/orders/o-1").await;
    assert_eq!(
        (&order["status"], &order["payment_id"]),
        (&json!("paid"), &json!("pi_1"))
    );
}

async fn stock_that_runs_low_is_told(place: Place) {
    let app = place.test.app();
    for (change, quantity) in [(-2, 10), (-1, 9), (5, 14)] {
        let body = json!({ "product_id": "gizmo", "quantity_change": change });
        let message = Delivery::new("inventory", change.to_string(), body.to_string());
        let stock = app.run(inventory::update(&message).unwrap()).await.unwrap();
        assert_eq!(stock.quantity, quantity);
    }
    assert_eq!(place.asked("buyers").await, ["only 9 of gizmo are left"]);
    for (product, change) in [("gizmo", -100), ("unheard-of", 1)] {
        let body = json!({ "product_id": product, "quantity_change": change });
        let message = Delivery::new("inventory", "x", body.to_string());
        app.run(inventory::update(&message).unwrap())
            .await
            .unwrap_err();
    }
    assert_eq!(place.get("/inventory/gizmo").await["quantity"], 14);
    assert_eq!(
        place
            .ask("GET", "/inventory/unheard-of", &Vec::new(), "")
            .await
            .0,
        404
    );
}

async fn an_order_is_taken_once_however_often_it_is_sent(place: Place) {
    let items = json!([
        { "product_id": "widget", "quantity": 2 }, { "product_id": "gizmo", "quantity": 1 },
    ]);
    let order = json!({ "order_id": "o-1", "customer_id": "ann", "items": items });
    for message in ["m-1", "m-2"] {
        let message = Delivery::new("sqs", message, order.to_string());
        place
            .test
            .app()
            .run(orders::order(&message).unwrap())
            .await
            .unwrap();
    }
    let taken = place.get("/orders/o-1").await;
    assert_eq!(taken["items"].as_array().unwrap().len(), 2);
    assert_eq!(
        place.asked("mail").await,
        ["to ann: your order o-1 has been received"]
    );
}

async fn a_payment_is_charged_once_for_each_key(place: Place) {
    let pay = json!({ "customer_id": "ann", "amount_cents": 4_200 });
    let (status, refused) = place.post("/payments", &Vec::new(), &pay).await;
    assert_eq!(status, 400);
    let said = refused["detail"].as_str().unwrap();
    assert!(said.contains("`Idempotency-Key` is required"), "{said}");
    let (status, paid) = place.post_once("/payments", "k1", &pay).await;
    assert_eq!((status, &paid["status"]), (200, &json!("completed")));
    assert_eq!(
        place.post_once("/payments", "k1", &pay).await,
        (200, paid.clone())
    );
    assert_eq!(place.asked("gateway").await, ["4200 cents from ann"]);
    let id = paid["payment_id"].as_str().unwrap();
    let payment = place.get(&format!("/payments/{id}")).await;
    assert_eq!(payment["charge_id"], paid["charge_id"]);
    let other = json!({ "customer_id": "ann", "amount_cents": 1 });
    assert_eq!(place.post_once("/payments", "k1", &other).await.0, 422);
    let nothing = json!({ "customer_id": "ann", "amount_cents": 0 });
    assert_eq!(place.post_once("/payments", "k2", &nothing).await.0, 400);
}

async fn an_account_follows_from_its_events(place: Place) {
    let path = "/accounts/ann/events";
    let append = async |key: &str, expected: i64, kind: &str, data: Value| {
        let event = json!({ "type": kind, "data": data });
        let body = json!({ "expected_version": expected, "event": event });
        place.post_once(path, key, &body).await
    };
    let created = json!({ "initial_balance_cents": 1_000 });
    assert_eq!(
        append("a", 0, "account.created", created.clone()).await.0,
        200
    );
    let amount = json!({ "amount_cents": 500 });
    assert_eq!(
        append("b", 1, "account.credited", amount.clone()).await.0,
        200
    );
    // Sent again it is the same event, not another one.
    assert_eq!(
        append("b", 1, "account.credited", amount.clone()).await.1["version"],
        2
    );
    let (status, conflict) = append("c", 1, "account.debited", amount.clone()).await;
    assert_eq!(
        (status, &conflict["dbos_error_code"]),
        (409, &json!("VERSION_CONFLICT"))
    );
    let too_much = json!({ "amount_cents": 9_999 });
    assert_eq!(append("d", 2, "account.debited", too_much).await.0, 422);
    assert_eq!(append("e", 2, "account.debited", amount).await.0, 200);
    let account = place.get("/accounts/ann").await;
    assert_eq!(
        (&account["version"], &account["balance_cents"]),
        (&json!(3), &json!(1_000))
    );
    // The projection is lost, and follows from the events again.
    let db = &place.test.app().state().db;
    let lost = sqlx::query("update accounts set balance_cents = 0, version = 0");
    lost.execute(db).await.unwrap();
    let (status, begun) = place.post("/rebuilds", &Vec::new(), &Value::Null).await;
    assert_eq!(status, 202);
    let id = begun["workflow_id"].as_str().unwrap();
    let rebuilt = place
        .result::<event_processor::accounts::rebuild_accounts>(id)
        .await;
    assert_eq!(rebuilt, Ok(1));
    assert_eq!(place.get("/accounts/ann").await, account);
}

async fn readings_alike_are_one(place: Place) {
    let reading = |sensor| json!({ "sensor": sensor, "taken_at": "noon", "value": 21.5 });
    for (sensor, duplicate) in [("s1", false), ("s1", true), ("s2", false)] {
        let (status, answer) = place.post("/readings", &Vec::new(), &reading(sensor)).await;
        assert_eq!((status, &answer["duplicate"]), (200, &json!(duplicate)));
        assert_eq!(
            answer["id"],
            event_id("reading", &[sensor, "noon", "21.5"]).as_str()
        );
    }
}

async fn metrics_tell_what_came(place: Place) {
    let event = json!({ "id": "evt_1", "type": "charge.failed" });
    let headers = sign::stripe(&event.to_string());
    for _ in 0..3 {
        place.post("/webhooks/stripe", &headers, &event).await;
    }
    let (_, metrics) = place.ask("GET", "/metrics", &Vec::new(), "").await;
    let of = r#"source="stripe",type="charge.failed"}"#;
    for counted in [
        format!("stepwell_events_total{{fate=\"started\",{of} 1"),
        format!("stepwell_events_total{{fate=\"duplicate\",{of} 2"),
    ] {
        assert!(metrics.contains(&counted), "{counted} is not in {metrics}");
    }
}

async fn operators_are_paged(place: Place) {
    place
        .test
        .app()
        .run(page("process_event has failed".to_owned()))
        .await
        .unwrap();
    assert_eq!(place.asked("pager").await, ["process_event has failed"]);
}

/// Postgres keeps no NUL: what is sent with one must not become the operators' work.
async fn a_text_that_is_no_name_is_its_senders_mistake(place: Place) {
    for n in 0..6 {
        for text in ["\0", "", &"a".repeat(256)] {
            let key = format!("{n}-{}", text.len());
            let payment = json!({ "customer_id": text, "amount_cents": 5 });
            let paid = place.post_once("/payments", &key, &payment).await;
            assert_eq!(paid.0, 422, "{}", paid.1);
            let reading = json!({ "sensor": text, "taken_at": "now", "value": n });
            let read = place.post("/readings", &Vec::new(), &reading).await;
            assert_eq!(read.0, 422, "{}", read.1);
        }
        let created = json!({ "type": "account.created", "data": { "initial_balance_cents": 1 } });
        let append = json!({ "expected_version": 0, "event": created });
        let key = n.to_string();
        let appended = place.post_once("/accounts/%00/events", &key, &append).await;
        assert_eq!(appended.0, 422, "{}", appended.1);
    }
    for path in ["/orders", "/accounts", "/payments", "/inventory"] {
        let (status, body) = place
            .ask("GET", &format!("{path}/%00"), &Vec::new(), "")
            .await;
        assert_eq!(status, 404, "{path}: {body}");
    }
    let letters = place.test.app().client().dead_letters().await.unwrap();
    assert!(letters.is_empty(), "{letters:?}");
    assert_eq!(place.asked("pager").await, [] as [&str; 0]);
}
