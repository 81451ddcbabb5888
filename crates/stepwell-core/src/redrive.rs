//! Dead letters are tried again: one by one, or many by a workflow that does it at a limited rate.

pub(crate) mod cut;
mod job;
mod pace;

use serde::{Deserialize, Serialize};

use crate::{
    limits::InvalidInput,
    names::Event,
    store::{Filter, Rate},
    workflow::State,
};

pub use job::redrive;
pub(crate) use pace::check as check_rate;

/// What a redrive has done so far. Published by the workflow `stepwell.redrive` after every few
/// letters, and its output.
pub const PROGRESS: Event<Redriven> = Event::new("progress");

/// The attribute of what a redrive has started: the redrive's id.
pub const REDRIVE: &str = "stepwell.redrive";

/// From where a dead letter is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedriveFrom {
    /// From its beginning: everything runs once more.
    Start,
    /// From the operation that failed last: what succeeded before it, or beside it in a join, is kept
    /// and does not run again. What is stuck or dead goes on where it stopped, under its own id.
    FailedStep,
}

/// Which dead letters are tried again, and how. Only those that nobody has acknowledged and that were
/// started before the redrive: what fails again is not tried a third time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redrive {
    /// The name of the function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Failed, stuck or dead; all three if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// What they have in common, as [`DeadLetters`](crate::store::DeadLetters) says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Their queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// From where.
    pub from: RedriveFrom,
    /// How many in what time, at most 4,000 a second. They are spread evenly.
    pub rate: Rate,
    /// How many in all; no bound if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub letters_max: Option<u64>,
    /// The redrive stops once more than so many of those that it started have failed again; at most
    /// 999. Never if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures_max: Option<u32>,
}

/// How many failures can be told apart from more: a page of a list holds them and one more.
const FAILURES_MAX: u32 = 999;

impl Redrive {
    /// All dead letters of a name, a hundred a second.
    #[must_use]
    pub fn of(name: impl Into<String>, from: RedriveFrom) -> Self {
        Self {
            name: Some(name.into()),
            state: None,
            fingerprint: None,
            queue: None,
            from,
            rate: Rate {
                starts: 100,
                period_ms: 1_000,
            },
            letters_max: None,
            failures_max: None,
        }
    }

    /// Refuses what makes no sense. That nothing is named never means everything.
    ///
    /// # Errors
    /// For the value that is wrong, with its limit.
    pub fn check(&self) -> Result<(), InvalidInput> {
        let named = [
            ("name", &self.name),
            ("fingerprint", &self.fingerprint),
            ("queue", &self.queue),
        ];
        if self.state.is_none() && named.iter().all(|(_, value)| value.is_none()) {
            return Err(InvalidInput::new(
                "a redrive says which dead letters it is about: by `name`, `state`, `fingerprint` or \
                 `queue`",
            ));
        }
        self.filter().check()?;
        if let Some(state) = self.state.filter(|state| !state.is_dead_letter()) {
            return Err(InvalidInput::new(format!(
                "the state `{state}` is none of a dead letter; these are `failed`, `stuck` and `dead`"
            )));
        }
        if let Some(most) = self.failures_max.filter(|most| *most > FAILURES_MAX) {
            return Err(InvalidInput::new(format!(
                "`failures_max` is {most}, at most {FAILURES_MAX} is allowed; leave it out for no bound"
            )));
        }
        check_rate(self.rate)
    }

    /// The letters that are meant, as a list shows them.
    fn filter(&self) -> Filter {
        Filter {
            states: self.state.into_iter().collect(),
            name: self.name.clone(),
            queue: self.queue.clone(),
            fingerprint: self.fingerprint.clone(),
            unacknowledged: true,
            ..Filter::default()
        }
    }
}

/// How far a redrive has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redriven {
    /// How many were tried again.
    pub redriven: u64,
    /// How many were no dead letters any more when their turn came.
    pub skipped: u64,
    /// How many of those that were started anew have failed again, as far as that was looked at: only
    /// a redrive with `failures_max` looks.
    pub failed_again: u32,
    /// Why it stopped before the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redrive_says_which_letters_it_is_about() {
        let good = Redrive::of("checkout", RedriveFrom::Start);
        assert!(good.check().is_ok());
        let nothing = Redrive {
            name: None,
            ..good.clone()
        };
        let running = Redrive {
            state: Some(State::Running),
            ..good.clone()
        };
        let many = Redrive {
            failures_max: Some(1_000),
            ..good.clone()
        };
        let never = Redrive {
            rate: Rate {
                starts: 0,
                period_ms: 1_000,
            },
            ..good
        };
        for bad in [nothing, running, many, never] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
