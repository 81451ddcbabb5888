//! [`Metrics`]: the instruments.

use std::{fmt, sync::Arc, time::Duration};

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge, Histogram, Meter},
};
use stepwell_core::{
    Client, Error,
    observe::{Attempted, Fate, Observation, Observer},
};

use crate::counts::Counts;

/// The bounds of histograms, in seconds: from a step in memory to a workflow of a day.
const SECONDS: [f64; 16] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0, 3_600.0,
    86_400.0,
];

/// The instruments of an application, on a meter. An application's observer; cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    instruments: Arc<Instruments>,
    counts: Counts,
}

struct Instruments {
    started: Counter<u64>,
    ended: Counter<u64>,
    wait: Histogram<f64>,
    duration: Histogram<f64>,
    step: Histogram<f64>,
    redriven: Counter<u64>,
    events: Counter<u64>,
    age: Histogram<f64>,
    lag: Gauge<u64>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Makes the instruments on a meter, such as `opentelemetry::global::meter("shop")`.
    ///
    /// ```
    /// use opentelemetry::global;
    /// use stepwell::{App, otel::Metrics};
    ///
    /// # async fn run() -> Result<(), stepwell::Error> {
    /// let metrics = Metrics::new(&global::meter("shop"));
    /// let app = App::builder("shop").observer(metrics.clone()).launch().await?;
    /// // What is in the database, for the three gauges that show it.
    /// let client = app.client().clone();
    /// tokio::spawn(async move {
    ///     loop {
    ///         if let Err(error) = metrics.count(&client).await {
    ///             eprintln!("could not count workflows: {error}");
    ///         }
    ///         tokio::time::sleep(std::time::Duration::from_secs(30)).await;
    ///     }
    /// });
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn new(meter: &Meter) -> Self {
        let counter = |name, what| meter.u64_counter(name).with_description(what).build();
        let seconds = |name, what| {
            let histogram = meter.f64_histogram(name).with_unit("s");
            let histogram = histogram.with_boundaries(SECONDS.to_vec());
            histogram.with_description(what).build()
        };
        let instruments = Instruments {
            started: counter("stepwell.workflows.started", "Workflows that were started"),
            ended: counter(
                "stepwell.workflows.ended",
                "Workflows that ended or got stuck",
            ),
            wait: seconds("stepwell.workflow.wait", "From the start to the first step"),
            duration: seconds("stepwell.workflow.duration", "From the start to the end"),
            step: seconds("stepwell.step.duration", "Attempts of steps"),
            redriven: counter("stepwell.dead_letters.redriven", "Dead letters tried again"),
            events: counter("stepwell.events", "Events that were delivered"),
            age: seconds(
                "stepwell.event.age",
                "From the source's timestamp to the start",
            ),
            lag: meter
                .u64_gauge("stepwell.event.lag")
                .with_description("Events that a source holds")
                .build(),
        };
        Self {
            instruments: Arc::new(instruments),
            counts: Counts::on(meter),
        }
    }

    /// Asks the database for what the gauges show until the next call. Without an answer they show
    /// nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](stepwell_core::ErrorKind::Unavailable) without a database.
    pub async fn count(&self, client: &Client) -> Result<(), Error> {
        self.counts.count(client).await
    }
}

impl Observer for Metrics {
    fn observe(&self, observation: &Observation<'_>) {
        let it = &self.instruments;
        match *observation {
            Observation::Started { name, origin } => it.started.add(1, &of(name, origin)),
            Observation::Begun {
                name,
                origin,
                waited,
            } => it.wait.record(waited.as_secs_f64(), &of(name, origin)),
            Observation::Ended {
                name,
                origin,
                state,
                took,
            } => {
                let [name, origin] = of(name, origin);
                let of = [name, origin, KeyValue::new("state", state.as_str())];
                it.ended.add(1, &of);
                it.duration.record(took.as_secs_f64(), &of);
            }
            Observation::Attempt {
                workflow,
                step,
                came_to,
                took,
            } => it.attempt((workflow, step), came_to, took),
            Observation::Redriven { name } => {
                it.redriven
                    .add(1, &[KeyValue::new("name", name.to_owned())]);
            }
            Observation::Event {
                source,
                kind,
                fate,
                age,
            } => it.event((source, kind), fate, age),
            Observation::Lag {
                source,
                part,
                events,
            } => {
                let of = [
                    KeyValue::new("source", source.to_owned()),
                    KeyValue::new("part", part.to_owned()),
                ];
                it.lag.record(events, &of);
            }
            // What a later version tells has no instrument yet.
            _ => {}
        }
    }
}

impl Instruments {
    fn attempt(&self, (workflow, step): (&str, &str), came_to: Attempted, took: Duration) {
        let outcome = match came_to {
            Attempted::Succeeded => "ok",
            Attempted::Failed => "error",
        };
        let of = [
            KeyValue::new("workflow", workflow.to_owned()),
            KeyValue::new("step", step.to_owned()),
            KeyValue::new("outcome", outcome),
        ];
        self.step.record(took.as_secs_f64(), &of);
    }

    fn event(&self, (source, kind): (&str, Option<&str>), fate: Fate, age: Option<Duration>) {
        let source = KeyValue::new("source", source.to_owned());
        let kind = KeyValue::new("type", kind.unwrap_or_default().to_owned());
        let came_to = KeyValue::new(
            "fate",
            match fate {
                Fate::Started => "started",
                Fate::Duplicate => "duplicate",
                Fate::Poison => "poison",
                Fate::Rejected => "rejected",
            },
        );
        self.events.add(1, &[source.clone(), kind.clone(), came_to]);
        // A duplicate is as old as its source is patient.
        if let (Fate::Started, Some(age)) = (fate, age) {
            self.age.record(age.as_secs_f64(), &[source, kind]);
        }
    }
}

fn of(name: &str, origin: Option<&str>) -> [KeyValue; 2] {
    [
        KeyValue::new("name", name.to_owned()),
        KeyValue::new("origin", origin.unwrap_or_default().to_owned()),
    ]
}
