//! [`Unique`]: what becomes of a start when one like it is there already.

use std::time::Duration;

use jiff::Timestamp;

/// Makes a start one of a kind, among those of the same workflow and unique key.
///
/// ```ignore
/// app.start(sync(user).unique(Unique::new(user))).await?;                       // one at a time
/// app.start(index(doc).unique(Unique::debounce(doc)).delay(SECONDS_5)).await?;  // when it is quiet
/// app.start(remind(user).unique(Unique::new(user).within(DAY))).await?;         // once a day
/// ```
///
/// It counts in all processes, and through crashes. An id counts besides it: the same id again finds
/// the same workflow, whatever became of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unique {
    /// The key, of 1 to 255 bytes.
    pub(crate) key: String,
    /// What happens when one is there.
    pub(crate) rule: UniqueRule,
}

/// What happens to a start when one of its kind is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UniqueRule {
    /// It is the same: the one that is there counts.
    Join(UniqueScope),
    /// It is refused.
    Reject(UniqueScope),
    /// It takes the place of the one that waits, which is cancelled. One that has begun is left
    /// alone.
    Replace {
        /// How long the place may be taken again and again, from the first start on.
        at_most: Option<Duration>,
    },
}

/// How long a start is the only one of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UniqueScope {
    /// Until it begins.
    Waiting,
    /// Until it has ended. A dead one has.
    Unfinished,
    /// For a time after it was started, whatever becomes of it.
    Within(Duration),
}

impl Unique {
    /// One at a time: a start joins the one that has not ended, and its handle is that one's.
    #[must_use]
    pub fn new(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            rule: UniqueRule::Join(UniqueScope::Unfinished),
        }
    }

    /// One that waits at a time: a start joins only what has not begun. Then what is new after the
    /// beginning is seen by another one.
    #[must_use]
    pub fn while_waiting(self) -> Self {
        self.scoped(UniqueScope::Waiting)
    }

    /// One in a time, whatever becomes of it: a throttle.
    #[must_use]
    pub fn within(self, period: Duration) -> Self {
        self.scoped(UniqueScope::Within(period))
    }

    /// Refuses a start with [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) in place of joining.
    #[must_use]
    pub fn reject(mut self) -> Self {
        if let UniqueRule::Join(scope) = self.rule {
            self.rule = UniqueRule::Reject(scope);
        }
        self
    }

    /// The last one counts: a start takes the place of the one that waits, which is cancelled. With
    /// a [`delay`](crate::Call::delay) it runs when no other start has come for that long.
    ///
    /// One whose delay has passed and that waits for a place in its queue is replaced where it
    /// stands.
    #[must_use]
    pub fn debounce(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            rule: UniqueRule::Replace { at_most: None },
        }
    }

    /// Ends the delays of a [`debounce`](Self::debounce) this long after the first start at the
    /// latest, however many come.
    #[must_use]
    pub fn at_most(mut self, longest: Duration) -> Self {
        if let UniqueRule::Replace { at_most } = &mut self.rule {
            *at_most = Some(longest);
        }
        self
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What happens when one is there.
    #[must_use]
    pub fn rule(&self) -> UniqueRule {
        self.rule
    }

    fn scoped(mut self, scope: UniqueScope) -> Self {
        match &mut self.rule {
            UniqueRule::Join(known) | UniqueRule::Reject(known) => *known = scope,
            UniqueRule::Replace { .. } => {}
        }
        self
    }
}

impl UniqueRule {
    /// How long what takes a place waits: never longer than until `at_most` after the first start.
    #[must_use]
    pub fn delay_of_replacement(
        self,
        delay: Option<Duration>,
        since: Timestamp,
        now: Timestamp,
    ) -> Option<Duration> {
        let Self::Replace {
            at_most: Some(at_most),
        } = self
        else {
            return delay;
        };
        let passed = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        delay.map(|delay| delay.min(at_most.saturating_sub(passed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(at_most: Option<u64>, delay: Option<u64>, passed: i64, expected: Option<u64>) {
        let rule = UniqueRule::Replace {
            at_most: at_most.map(Duration::from_secs),
        };
        let since = Timestamp::from_second(1_000).unwrap();
        let now = Timestamp::from_second(1_000 + passed).unwrap();
        let delay = rule.delay_of_replacement(delay.map(Duration::from_secs), since, now);
        assert_eq!(delay, expected.map(Duration::from_secs));
    }

    #[test]
    fn a_debounce_begins_anew() {
        check(None, Some(5), 1_000, Some(5));
        check(None, None, 3, None);
    }

    #[test]
    fn a_debounce_has_an_end() {
        check(Some(60), Some(5), 10, Some(5));
        check(Some(60), Some(5), 58, Some(2));
        check(Some(60), Some(5), 90, Some(0));
        check(Some(60), Some(5), -10, Some(5));
    }

    #[test]
    fn what_does_not_fit_a_rule_changes_nothing() {
        let replaced = Unique::debounce("k")
            .within(Duration::from_secs(1))
            .reject();
        assert_eq!(replaced, Unique::debounce("k"));
        let joined = Unique::new("k").at_most(Duration::from_secs(1));
        assert_eq!(joined, Unique::new("k"));
    }
}
