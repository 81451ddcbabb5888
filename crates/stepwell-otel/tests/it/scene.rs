//! An application that is measured, and a source whose events are handed in by hand.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use axum::{Router, body::Body, http::Request};
use http_body_util::BodyExt;
use stepwell::{
    App, Ctx, Error, Failure, Queue, Workflow,
    events::{Connected, Delivery, Intake, Source, Sources},
    otel::Prometheus,
    step,
    testing::Harness,
    workflow,
};
use tower::ServiceExt;

pub(crate) static LINE: Queue = Queue::new("otel-line").concurrency(1);

#[derive(stepwell::State, Default)]
pub(crate) struct Shop {
    #[provide]
    pub(crate) door: Door,
}

#[derive(Default)]
pub(crate) struct Door {
    pub(crate) is_open: AtomicBool,
}

#[step]
async fn sell(#[state] door: &Door, order: u32) -> stepwell::Result<u32> {
    if order >= 10 || door.is_open.load(SeqCst) {
        return Ok(order);
    }
    Err(Failure::msg("closed"))
}

/// Fails for orders below ten while the shop is closed.
#[workflow]
pub(crate) async fn order(ctx: &mut Ctx<Shop>, number: u32) -> stepwell::Result<u32> {
    ctx.run(sell(number)).await
}

pub(crate) struct Scene {
    pub(crate) test: Harness<Shop>,
    pub(crate) intake: Intake<order>,
    router: Router,
}

/// Keeps the intake for the test.
struct ByHand<W: Workflow>(Arc<Mutex<Option<Intake<W>>>>);

impl<W: Workflow> Source<W> for ByHand<W> {
    fn name(&self) -> &str {
        "till"
    }

    fn connect(self, intake: Intake<W>) -> Result<Connected, Error> {
        *self.0.lock().unwrap() = Some(intake);
        Ok(Connected::Consumer(Box::pin(std::future::ready(()))))
    }
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let prometheus = Prometheus::new().unwrap();
        let builder = App::builder("test")
            .state(Shop::default())
            .observer(prometheus.metrics());
        let test = Harness::with(builder).await;
        let slot = Arc::default();
        let sources =
            Sources::new(&test.app).add(ByHand(Arc::clone(&slot)), |event| event.json().map(order));
        drop(sources.unwrap());
        let intake = slot.lock().unwrap().take().unwrap();
        Self {
            router: prometheus.routes(&test.app),
            intake,
            test,
        }
    }

    pub(crate) async fn deliver(&self, id: &str, body: &str) {
        let now = self.test.app.client().now();
        let delivery = Delivery {
            kind: Some("sale".to_owned()),
            at: Some(now - std::time::Duration::from_secs(2)),
            ..Delivery::new("till", id, body.to_owned())
        };
        self.intake.accept(&delivery).await.unwrap();
    }

    /// The lines of a scrape.
    pub(crate) async fn scrape(&self) -> Vec<String> {
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let kind = response.headers()["content-type"].to_str().unwrap();
        assert!(kind.starts_with("text/plain"), "{kind}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// The lines that begin so, without the rest of the instruments.
    pub(crate) async fn lines(&self, begin: &str) -> Vec<String> {
        let lines = self.scrape().await.into_iter();
        lines.filter(|line| line.starts_with(begin)).collect()
    }
}
