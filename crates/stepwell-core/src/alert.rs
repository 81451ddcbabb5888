//! Alerts: workflows of the user's that are started when others did not do their work.

use std::{
    collections::HashSet,
    fmt,
    panic::AssertUnwindSafe,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::{
    call::Call,
    durable::Workflow,
    error::Error,
    id::{WorkflowId, made},
    limits::InvalidInput,
    payload::Payload,
    store::{self, NewWorkflow},
    workflow::{End, State},
};

/// How large an error may be that is handed to an alert: the letter has the whole of it.
const ERROR_BYTES_MAX: usize = 64 * 1_024;

/// How many failures are counted at most.
pub(crate) const COUNTED_MAX: u32 = 1_000;

/// The origin of alerts that say no other.
const ORIGIN: &str = "stepwell.alert";

/// A workflow that did not do its work, and will not by itself: what an alert is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Its id.
    pub id: String,
    /// The name of the function.
    pub name: String,
    /// Failed, stuck or dead.
    pub state: State,
    /// The error of one that failed, as it is stored; none if that has more than 64 KiB.
    pub error: Option<Payload>,
    /// What one that failed has in common with others: the error's type and its message without
    /// digits and ids.
    pub fingerprint: Option<String>,
    /// Why it is stuck or dead, in a sentence.
    pub reason: Option<String>,
}

impl fmt::Display for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id, name, state, ..
        } = self;
        let verb = if *state == State::Failed { "has" } else { "is" };
        let why = self.fingerprint.as_ref().or(self.reason.as_ref());
        write!(f, "{name} `{id}` {verb} {state}")?;
        why.map_or(Ok(()), |why| write!(f, ": {why}"))
    }
}

/// Workflows that failed alike, more than once in a short time: what an alert is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepeatedFailures {
    /// The name of the function.
    pub name: String,
    /// What they have in common.
    pub fingerprint: String,
    /// How many, of those that nobody has acknowledged; counted no further than 1,000.
    pub count: u32,
    /// When the first of them failed.
    pub since: Timestamp,
    /// The id of the one that failed last.
    pub last: String,
}

impl fmt::Display for RepeatedFailures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, name, since, why) = (self.count, &self.name, self.since, &self.fingerprint);
        write!(f, "{name} has failed {count} times since {since:.0}: {why}")
    }
}

/// Makes the start of an alert, with the id that it has unless the user gave another.
type Make<T> = Box<dyn Fn(&T, WorkflowId, usize) -> Result<NewWorkflow, Error> + Send + Sync>;

/// How the start of an alert is made.
struct Maker<T> {
    /// Its workflow, and which one it is of those that start it: what its id is made of.
    name: &'static str,
    number: usize,
    make: Make<T>,
}

/// An alert to be started, unless it is there: two executors may see the same matter.
#[derive(Debug)]
pub(crate) struct Alert {
    pub(crate) new: NewWorkflow,
    /// The id of the matter. The start has another one if the user gave one.
    pub(crate) matter: WorkflowId,
}

/// An alert about repeated failures.
pub(crate) struct Repeated {
    pub(crate) count: u32,
    pub(crate) window: Duration,
    maker: Maker<RepeatedFailures>,
}

/// The alerts of an application.
#[derive(Default)]
pub(crate) struct Alerts {
    on_letter: Vec<Maker<DeadLetter>>,
    pub(crate) on_repeated: Vec<Repeated>,
    /// The workflows that alerts start: that these fail is no reason for alerts.
    names: HashSet<&'static str>,
    /// What failed since it was looked at last: names and fingerprints.
    failed: Mutex<HashSet<(String, String)>>,
    pub(crate) has_failed: Notify,
}

impl fmt::Debug for Alerts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alerts")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

impl Alerts {
    pub(crate) fn on_letter<W: Workflow>(
        &mut self,
        map: impl Fn(&DeadLetter) -> Call<W> + Send + Sync + 'static,
    ) {
        self.names.insert(W::NAME);
        let before = self.on_letter.iter();
        let number = before.filter(|it| it.name == W::NAME).count();
        self.on_letter.push(maker(number, map));
    }

    pub(crate) fn on_repeated<W: Workflow>(
        &mut self,
        (count, window): (u32, Duration),
        map: impl Fn(&RepeatedFailures) -> Call<W> + Send + Sync + 'static,
    ) {
        self.names.insert(W::NAME);
        let before = self.on_repeated.iter();
        let number = before.filter(|it| it.maker.name == W::NAME).count();
        self.on_repeated.push(Repeated {
            count,
            window,
            maker: maker(number, map),
        });
    }

    /// Refuses what never alerts, or always.
    pub(crate) fn check(&self) -> Result<(), InvalidInput> {
        for Repeated { count, window, .. } in &self.on_repeated {
            if *count == 0 || *count > COUNTED_MAX {
                return Err(InvalidInput::new(format!(
                    "an alert about {count} repeated failures; say from 1 to {COUNTED_MAX}"
                )));
            }
            if window.is_zero() {
                return Err(InvalidInput::new(
                    "an alert about failures within no time; say a window longer than 0",
                ));
            }
        }
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub(crate) fn are_about_letters(&self) -> bool {
        !self.on_letter.is_empty()
    }

    /// The alerts about an end, to be started in the same commit. Their ids are new ones: the end is
    /// written once, and they with it.
    pub(crate) fn about_end(
        &self,
        (id, name): (&WorkflowId, &str),
        end: &End,
        bytes_max: usize,
    ) -> Vec<NewWorkflow> {
        if self.on_letter.is_empty() {
            return Vec::new();
        }
        let (state, error, fingerprint, reason) = match end {
            End::Succeeded(_) | End::Declined { .. } => return Vec::new(),
            End::Failed {
                error, fingerprint, ..
            } => {
                let fits = error.as_str().len() <= ERROR_BYTES_MAX;
                let error = fits.then(|| error.clone());
                (State::Failed, error, Some(fingerprint.clone()), None)
            }
            End::Stuck { reason } => (State::Stuck, None, None, Some(reason.clone())),
        };
        let letter = DeadLetter {
            id: id.to_string(),
            name: name.to_owned(),
            state,
            error,
            fingerprint,
            reason,
        };
        let alerts = self.about_letter(&letter, |_| WorkflowId::generate(), bytes_max);
        alerts.into_iter().map(|alert| alert.new).collect()
    }

    /// The alerts about a workflow that became dead when it was claimed, which no run tells of. Their
    /// ids follow from it: whoever sees it starts them, once.
    pub(crate) fn about_dead(&self, dead: &store::Workflow, bytes_max: usize) -> Vec<Alert> {
        let letter = DeadLetter {
            id: dead.id.to_string(),
            name: dead.name.clone(),
            state: dead.state,
            error: None,
            fingerprint: None,
            reason: dead.reason.clone(),
        };
        let since = dead.ended_at.unwrap_or(dead.created_at).as_microsecond();
        let id = |maker: &Maker<_>| {
            let (name, number) = (maker.name, maker.number);
            made::alert(&dead.id, &format!("{since}/{number}/{name}"))
        };
        self.about_letter(&letter, id, bytes_max)
    }

    fn about_letter(
        &self,
        letter: &DeadLetter,
        id: impl Fn(&Maker<DeadLetter>) -> WorkflowId,
        bytes_max: usize,
    ) -> Vec<Alert> {
        if self.names.contains(letter.name.as_str()) {
            return Vec::new();
        }
        let makers = self.on_letter.iter();
        makers
            .filter_map(|maker| start_of(maker, letter, id(maker), bytes_max))
            .collect()
    }

    /// Remembers that a workflow failed, to be counted when it is on disk.
    pub(crate) fn failed(&self, name: &str, fingerprint: &str) {
        if self.on_repeated.is_empty() || self.names.contains(name) {
            return;
        }
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.insert((name.to_owned(), fingerprint.to_owned()));
        drop(failed);
        self.has_failed.notify_one();
    }

    /// What failed since the last call.
    pub(crate) fn take_failed(&self) -> HashSet<(String, String)> {
        std::mem::take(&mut *self.failed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Repeated {
    /// The alert about failures, if they are enough within the window. One in a window: its id is
    /// made of the window and of what failed.
    pub(crate) fn about(
        &self,
        (name, fingerprint): (&str, &str),
        newest: &[store::Workflow],
        now: Timestamp,
        bytes_max: usize,
    ) -> Option<Alert> {
        let from = now.checked_sub(self.window).unwrap_or(Timestamp::MIN);
        let ends = newest
            .iter()
            .filter_map(|it| Some((it.ended_at.filter(|at| *at >= from)?, it)));
        let (mut count, mut first, mut last) = (0_u32, None, None);
        for end in ends {
            count += 1;
            first = first.filter(|(at, _)| *at <= end.0).or(Some(end));
            last = last.filter(|(at, _)| *at >= end.0).or(Some(end));
        }
        let ((since, _), (_, last)) = (first?, last?);
        if count < self.count {
            return None;
        }
        let failures = RepeatedFailures {
            name: name.to_owned(),
            fingerprint: fingerprint.to_owned(),
            count,
            since,
            last: last.id.to_string(),
        };
        let window = now.as_millisecond() / i64::try_from(self.window.as_millis()).ok()?.max(1);
        let length = self.window.as_millis();
        let which = format!("{}/{length}/{window}/{}", self.count, self.maker.number);
        let parts = [fingerprint, self.maker.name, &which];
        let id = made::named(name, made::Maker::Failures, &parts);
        start_of(&self.maker, &failures, id, bytes_max)
    }
}

fn maker<T: 'static, W: Workflow>(
    number: usize,
    map: impl Fn(&T) -> Call<W> + Send + Sync + 'static,
) -> Maker<T> {
    let make = move |about: &T, id, bytes_max| {
        let mut call = map(about).anywhere();
        if call.given_origin().is_none() {
            call = call.origin(ORIGIN);
        }
        call.into_new(|| id, None, bytes_max)
    };
    Maker {
        name: W::NAME,
        number,
        make: Box::new(make),
    }
}

/// An alert that cannot be made must not hold up the end that it is about: it is said in the log.
fn start_of<T: fmt::Display>(
    maker: &Maker<T>,
    about: &T,
    matter: WorkflowId,
    bytes_max: usize,
) -> Option<Alert> {
    let make = || (maker.make)(about, matter.clone(), bytes_max);
    match std::panic::catch_unwind(AssertUnwindSafe(make)) {
        Ok(Ok(new)) => Some(Alert { new, matter }),
        Ok(Err(error)) => {
            tracing::error!(%about, %error, "an alert could not be made");
            None
        }
        Err(_) => {
            tracing::error!(%about, "the code that makes an alert panicked");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_failures_say_what_happened() {
        let letter = DeadLetter {
            id: "order-7".to_owned(),
            name: "checkout".to_owned(),
            state: State::Failed,
            error: None,
            fingerprint: Some("PayError: declined".to_owned()),
            reason: None,
        };
        let says = "checkout `order-7` has failed: PayError: declined";
        assert_eq!(letter.to_string(), says);
        let stuck = DeadLetter {
            state: State::Stuck,
            fingerprint: None,
            reason: Some("another code".to_owned()),
            ..letter
        };
        assert_eq!(
            stuck.to_string(),
            "checkout `order-7` is stuck: another code"
        );
        let failures = RepeatedFailures {
            name: "checkout".to_owned(),
            fingerprint: "PayError: declined".to_owned(),
            count: 5,
            since: Timestamp::UNIX_EPOCH,
            last: "order-7".to_owned(),
        };
        assert_eq!(
            failures.to_string(),
            "checkout has failed 5 times since 1970-01-01T00:00:00Z: PayError: declined"
        );
    }
}
