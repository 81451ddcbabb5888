//! What the database is asked for.

use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::{
    KeyValue,
    metrics::{AsyncInstrument, Meter},
};
use stepwell_core::{
    Client, Error,
    store::{DeadLetters, QueueInfo, Tally},
};

/// What was counted last; nothing if that did not succeed. An old number would look like a new one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts(Arc<Mutex<Counted>>);

#[derive(Debug, Default)]
struct Counted {
    workflows: Vec<Tally>,
    letters: Vec<DeadLetters>,
    queues: Vec<QueueInfo>,
}

impl Counts {
    /// Counts that are shown by gauges of a meter.
    pub(crate) fn on(meter: &Meter) -> Self {
        let counts = Self::default();
        counts.gauge(
            meter,
            "stepwell.workflows",
            "Workflows in the database",
            workflows,
        );
        let letters = "Dead letters that nobody has acknowledged";
        counts.gauge(meter, "stepwell.dead_letters", letters, dead_letters);
        let queues = "Workflows that wait in queues, and that run from them";
        counts.gauge(meter, "stepwell.queue.workflows", queues, of_queues);
        counts
    }

    fn gauge(
        &self,
        meter: &Meter,
        name: &'static str,
        description: &'static str,
        show: fn(&Counted, &dyn AsyncInstrument<u64>),
    ) {
        let shown = self.clone();
        let gauge = meter
            .u64_observable_gauge(name)
            .with_description(description);
        // The meter keeps the callback; what is returned is only a name for it.
        let _name = gauge
            .with_callback(move |gauge| shown.look(|it| show(it, gauge)))
            .build();
    }

    fn look<T>(&self, look: impl FnOnce(&mut Counted) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts anew.
    pub(crate) async fn count(&self, client: &Client) -> Result<(), Error> {
        let counted = Counted::of(client).await;
        let (counted, done) = match counted {
            Ok(counted) => (counted, Ok(())),
            Err(error) => (Counted::default(), Err(error)),
        };
        self.look(|last| *last = counted);
        done
    }
}

impl Counted {
    async fn of(client: &Client) -> Result<Self, Error> {
        Ok(Self {
            workflows: client.tallies().await?,
            letters: client.dead_letters().await?,
            queues: client.queues().await?,
        })
    }
}

fn workflows(counted: &Counted, gauge: &dyn AsyncInstrument<u64>) {
    for tally in &counted.workflows {
        let of = [
            KeyValue::new("name", tally.name.clone()),
            KeyValue::new("origin", tally.origin.clone().unwrap_or_default()),
            KeyValue::new("state", tally.state.as_str()),
        ];
        gauge.observe(tally.count, &of);
    }
}

/// Groups differ in what has failed, too, which is no attribute: there is no bound to it.
fn dead_letters(counted: &Counted, gauge: &dyn AsyncInstrument<u64>) {
    let mut sums = std::collections::BTreeMap::new();
    for group in &counted.letters {
        *sums.entry((&group.name, group.state.as_str())).or_default() += group.count;
    }
    for ((name, state), count) in sums {
        let of = [
            KeyValue::new("name", name.clone()),
            KeyValue::new("state", state),
        ];
        gauge.observe(count, &of);
    }
}

fn of_queues(counted: &Counted, gauge: &dyn AsyncInstrument<u64>) {
    for queue in &counted.queues {
        for (state, count) in [("waiting", queue.waiting), ("running", queue.running)] {
            let of = [
                KeyValue::new("queue", queue.name.clone()),
                KeyValue::new("state", state),
            ];
            gauge.observe(count.into(), &of);
        }
    }
}
