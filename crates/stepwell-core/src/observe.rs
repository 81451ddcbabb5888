//! What an application tells whoever measures it.

use std::{fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use crate::{
    store::{Applied, Change, Effect, EffectOutcome, Progressed, Started},
    workflow::State,
};

/// Something that has happened in this process. What is said to have been written is on disk.
///
/// A process that is killed takes with it what it was about to say: counts of observations are for
/// graphs and alarms. What there is in all is asked of the database
/// ([`Client::tallies`](crate::Client::tallies)).
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Observation<'a> {
    /// A workflow exists from now on: started by a call, a parent or an event. (By a schedule's tick or
    /// as an alert it is told of when it begins.)
    Started {
        /// The name of the function.
        name: &'a str,
        /// Where it came from, as [`Call::origin`](crate::Call::origin) says it.
        origin: Option<&'a str>,
    },
    /// A workflow was taken up here that has recorded nothing yet.
    Begun {
        /// The name of the function.
        name: &'a str,
        /// Where it came from.
        origin: Option<&'a str>,
        /// Since it was started, by the store's clock.
        waited: Duration,
    },
    /// A workflow that ran here has ended or got stuck.
    Ended {
        /// The name of the function.
        name: &'a str,
        /// Where it came from.
        origin: Option<&'a str>,
        /// Succeeded, failed, stuck or cancelled.
        state: State,
        /// Since it was started, by the store's clock.
        took: Duration,
    },
    /// An attempt of a step has ended.
    Attempt {
        /// The name of the workflow's function.
        workflow: &'a str,
        /// The step's name.
        step: &'a str,
        /// What it came to.
        came_to: Attempted,
        /// How long it ran.
        took: Duration,
    },
    /// A dead letter is tried again as another workflow.
    Redriven {
        /// The name of the function.
        name: &'a str,
    },
    /// An event was delivered by a source.
    Event {
        /// The source.
        source: &'a str,
        /// What happened, in the source's words.
        kind: Option<&'a str>,
        /// What became of it.
        fate: Fate,
        /// Since it happened or was sent, by the source's clock and the store's; none if the source does
        /// not say when.
        age: Option<Duration>,
    },
    /// How many events a source holds that this process has not fetched yet.
    Lag {
        /// The source.
        source: &'a str,
        /// Which part of it: `topic-partition`.
        part: &'a str,
        /// How many.
        events: u64,
    },
}

/// What an attempt of a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempted {
    /// A value.
    Succeeded,
    /// An error, or a panic.
    Failed,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its workflow was started.
    Started,
    /// Its workflow was there.
    Duplicate,
    /// No workflow can be made of it; it is kept.
    Poison,
    /// It was refused: not signed as it should be, too old, too large, without an id.
    Rejected,
}

/// Whoever measures an application. Set by [`AppBuilder::observer`](crate::AppBuilder::observer).
pub trait Observer: Send + Sync + 'static {
    /// Hears of something. It is called where that happens, and holds it up: count it and return.
    /// A panic is caught and harms nothing else.
    fn observe(&self, observation: &Observation<'_>);
}

/// The observer of an application, if it has one.
#[derive(Clone, Default)]
pub(crate) struct Observers(Option<Arc<dyn Observer>>);

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Observers").field(&self.0.is_some()).finish()
    }
}

impl Observers {
    pub(crate) fn of(observer: Arc<dyn Observer>) -> Self {
        Self(Some(observer))
    }

    pub(crate) fn is_there(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn tell(&self, observation: &Observation<'_>) {
        let Some(observer) = &self.0 else {
            return;
        };
        let told = std::panic::catch_unwind(AssertUnwindSafe(|| observer.observe(observation)));
        if told.is_err() {
            tracing::error!("the observer of the application panicked");
        }
    }

    /// Tells what a change has started.
    pub(crate) fn written(&self, change: &Change, applied: &Applied) {
        if !self.is_there() {
            return;
        }
        match (change, applied) {
            (Change::Start(new), Applied::Start(Started::New { .. })) => self.started(new),
            (Change::Progress(progress), Applied::Progress(Progressed::Recorded(outcomes))) => {
                for (effect, outcome) in progress.effects.iter().zip(outcomes) {
                    if let (Effect::Start(new), EffectOutcome::Started(Started::New { .. })) =
                        (effect, outcome)
                    {
                        self.started(new);
                    }
                }
            }
            _ => {}
        }
    }

    fn started(&self, new: &crate::store::NewWorkflow) {
        self.tell(&Observation::Started {
            name: &new.name,
            origin: new.origin.as_deref(),
        });
    }
}
