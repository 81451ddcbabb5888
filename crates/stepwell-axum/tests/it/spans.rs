//! What the span of a request carries.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Body, extract::ConnectInfo, routing::get};
use http::Request;
use stepwell::{
    App,
    axum::{RequestLayer, layer, testing::TestApp},
};
use tracing::{
    Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt};

type Fields = BTreeMap<String, String>;

/// Keeps the fields of the spans of requests.
#[derive(Clone, Default)]
struct Recorded(Arc<Mutex<Fields>>);

struct Fill<'a>(&'a mut Fields);

impl Visit for Fill<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}").trim_matches('"').to_owned();
        self.0.insert(field.name().to_owned(), text);
    }
}

impl<S: Subscriber> Layer<S> for Recorded {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        if attributes.metadata().name() == "http.request" {
            attributes.record(&mut Fill(&mut self.0.lock().unwrap()));
        }
    }

    fn on_record(&self, _: &Id, values: &Record<'_>, _: Context<'_, S>) {
        values.record(&mut Fill(&mut self.0.lock().unwrap()));
    }
}

/// The fields of the span of one request.
async fn fields(settings: fn(RequestLayer) -> RequestLayer, headers: &[(&str, &str)]) -> Fields {
    let recorded = Recorded::default();
    let subscriber = tracing_subscriber::registry().with(recorded.clone());
    let _default = tracing::subscriber::set_default(subscriber);
    let app = TestApp::new((), |app: App| {
        Router::new()
            .route("/hello/{name}", get(async || "hello"))
            .layer(settings(layer(&app)))
            .with_state(app)
    });
    let mut request = Request::builder().uri("/hello/ann?token=secret");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(Body::empty()).unwrap();
    let client: std::net::SocketAddr = "192.0.2.7:4711".parse().unwrap();
    request.extensions_mut().insert(ConnectInfo(client));
    app.await.oneshot(request).await;
    std::mem::take(&mut *recorded.0.lock().unwrap())
}

#[track_caller]
fn assert_fields(fields: &Fields, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(
            fields.get(*name).map(String::as_str),
            Some(*value),
            "{name}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_span_has_the_names_of_opentelemetry_and_the_five() {
    let fields = fields(|layer| layer, &[("x-request-id", "r1")]).await;
    assert_fields(
        &fields,
        &[
            ("otel.name", "GET /hello/{name}"),
            ("http.request.method", "GET"),
            ("http.route", "/hello/{name}"),
            ("url.path", "/hello/ann"),
            ("client.address", "192.0.2.7"),
            ("http.response.status_code", "200"),
            ("name", "/hello/ann"),
            ("requestID", "r1"),
            ("requestIP", "192.0.2.7"),
            ("requestURL", "/hello/ann"),
            ("requestMethod", "GET"),
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn a_query_string_is_recorded_only_when_asked() {
    let quiet = fields(|layer| layer, &[]).await;
    assert!(
        !quiet.values().any(|value| value.contains("secret")),
        "{quiet:?}"
    );
    let asked = fields(RequestLayer::record_query, &[]).await;
    assert_fields(
        &asked,
        &[
            ("url.query", "token=secret"),
            ("requestURL", "/hello/ann?token=secret"),
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn the_trace_of_the_caller_is_the_parent() {
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let fields = fields(|layer| layer, &[("traceparent", trace)]).await;
    assert_fields(&fields, &[("trace.parent", trace)]);
}
