//! [`Retry`]: whether, when and how often a step is tried again.

use std::{any::Any, fmt, sync::Arc, time::Duration};

use crate::failure::Failure;

/// The longest pause between two attempts unless the policy says otherwise.
const PAUSE_MAX_DEFAULT: Duration = Duration::from_secs(60 * 60);

type When<E> = Arc<dyn Fn(&E) -> bool + Send + Sync>;

/// How often a step is tried, and how long it waits in between. The default is once.
///
/// The waits are durable: an attempt an hour away survives a restart. A [`Failure`] that is marked
/// permanent is never tried again.
pub struct Retry<E> {
    pub(crate) plan: Plan,
    when: Option<When<E>>,
}

/// The part of a policy that does not depend on the error's type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Plan {
    pub(crate) attempts_max: u32,
    base: Duration,
    factor: f64,
    pause_max: Duration,
    jitter: bool,
}

impl Plan {
    /// The pause after the `number`-th failed attempt, before jitter.
    fn pause(&self, number: u32) -> Duration {
        let exponent = i32::try_from(number.saturating_sub(1)).unwrap_or(i32::MAX);
        if self.base.is_zero() {
            return Duration::ZERO;
        }
        let seconds = self.base.as_secs_f64() * self.factor.powi(exponent);
        Duration::try_from_secs_f64(seconds)
            .unwrap_or(self.pause_max)
            .min(self.pause_max)
    }

    /// The pause with jitter: between a half and the whole, so that many that failed together do
    /// not come back together. `random` is in 0..=1.
    pub(crate) fn pause_with(&self, number: u32, random: f64) -> Duration {
        let pause = self.pause(number);
        if self.jitter {
            pause.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
        } else {
            pause
        }
    }
}

impl<E> Retry<E> {
    /// One attempt.
    #[must_use]
    pub fn none() -> Self {
        let plan = Plan {
            attempts_max: 1,
            base: Duration::from_secs(1),
            factor: 2.0,
            pause_max: PAUSE_MAX_DEFAULT,
            jitter: true,
        };
        Self { plan, when: None }
    }

    /// At most this many attempts in all; 0 counts as 1.
    #[must_use]
    pub fn times(attempts: u32) -> Self {
        let none = Self::none();
        Self {
            plan: Plan {
                attempts_max: attempts.max(1),
                ..none.plan
            },
            ..none
        }
    }

    /// The pause after the first failed attempt; 1 s unless said otherwise.
    #[must_use]
    pub fn base(mut self, pause: Duration) -> Self {
        self.plan.base = pause;
        self
    }

    /// What the pause is multiplied by after every further failure; 2 unless said otherwise. What is
    /// below 1 or not a number counts as 1.
    #[must_use]
    pub fn factor(mut self, factor: f64) -> Self {
        self.plan.factor = if factor >= 1.0 { factor } else { 1.0 };
        self
    }

    /// The longest pause; an hour unless said otherwise.
    #[must_use]
    pub fn cap(mut self, pause: Duration) -> Self {
        self.plan.pause_max = pause;
        self
    }

    /// Makes every pause exact instead of between a half of it and the whole.
    #[must_use]
    pub fn without_jitter(mut self) -> Self {
        self.plan.jitter = false;
        self
    }

    /// Tries again only after errors that `again` says yes to.
    #[must_use]
    pub fn when(mut self, again: impl Fn(&E) -> bool + Send + Sync + 'static) -> Self {
        self.when = Some(Arc::new(again));
        self
    }
}

impl<E: 'static> Retry<E> {
    /// Whether this error deserves another attempt.
    pub(crate) fn wants_again(&self, error: &E) -> bool {
        let permanent = (error as &dyn Any)
            .downcast_ref()
            .is_some_and(Failure::is_permanent);
        !permanent && self.when.as_ref().is_none_or(|when| when(error))
    }
}

impl<E> Clone for Retry<E> {
    fn clone(&self) -> Self {
        Self {
            plan: self.plan,
            when: self.when.clone(),
        }
    }
}

impl<E> fmt::Debug for Retry<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry")
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(retry: &Retry<Failure>, number: u32, seconds: f64) {
        assert!((retry.plan.pause(number).as_secs_f64() - seconds).abs() < 1e-9);
    }

    #[test]
    fn the_pause_doubles_up_to_its_cap() {
        let retry = Retry::times(9).cap(Duration::from_secs(5));
        check(&retry, 1, 1.0);
        check(&retry, 2, 2.0);
        check(&retry, 3, 4.0);
        check(&retry, 4, 5.0);
        check(&retry, u32::MAX, 5.0);
    }

    #[test]
    fn without_a_base_there_is_no_pause() {
        let retry = Retry::times(2_000).base(Duration::ZERO);
        check(&retry, 1, 0.0);
        check(&retry, 1_999, 0.0);
    }

    #[test]
    fn a_factor_that_makes_no_sense_keeps_the_pause() {
        check(&Retry::times(3).factor(f64::NAN), 3, 1.0);
        check(&Retry::times(3).factor(-2.0), 3, 1.0);
    }

    #[test]
    fn jitter_shortens_by_a_half_at_most() {
        let plan = Retry::<Failure>::times(3).plan;
        assert_eq!(plan.pause_with(1, 0.0), Duration::from_millis(500));
        assert_eq!(plan.pause_with(1, 1.0), Duration::from_secs(1));
    }

    #[test]
    fn a_permanent_failure_is_never_tried_again() {
        let retry = Retry::times(3).when(|_: &Failure| true);
        assert!(retry.wants_again(&Failure::msg("busy")));
        assert!(!retry.wants_again(&Failure::msg("declined").permanent()));
    }
}
