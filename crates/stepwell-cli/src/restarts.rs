//! When a program that died is started again: the rule, without a process.

use std::time::Duration;

/// A program that lived this long had started; its death is another matter than one at the start.
const STARTED_AFTER: Duration = Duration::from_secs(10);

/// The pause before the second start after deaths at once; it doubles from there.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// What is to be done about a death.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Start it again, after a pause.
    Start(Duration),
    /// It died at once too often in a row: starting it again mends nothing.
    GiveUp,
}

/// The deaths of a program so far.
#[derive(Debug)]
pub(crate) struct Restarts {
    /// How many deaths at once there may be in a row.
    deaths_max: u32,
    /// How many there were.
    at_once: u32,
}

impl Restarts {
    /// Gives up at the `deaths_max`-th death at once in a row.
    pub(crate) fn new(deaths_max: u32) -> Self {
        let at_once = 0;
        Self {
            deaths_max,
            at_once,
        }
    }

    /// Decides about a death after `lived`. One that had lived is started again at once: its clients
    /// wait.
    pub(crate) fn died(&mut self, lived: Duration) -> Next {
        if lived >= STARTED_AFTER {
            self.at_once = 0;
            return Next::Start(Duration::ZERO);
        }
        self.at_once += 1;
        if self.at_once >= self.deaths_max {
            return Next::GiveUp;
        }
        let doubled = PAUSE_MIN.saturating_mul(1 << (self.at_once - 1).min(16));
        Next::Start(doubled.min(PAUSE_MAX))
    }

    /// Forgets the deaths: what died is not what is started next.
    pub(crate) fn forget(&mut self) {
        self.at_once = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Duration = Duration::from_millis(5);

    fn pause(ms: u64) -> Next {
        Next::Start(Duration::from_millis(ms))
    }

    #[test]
    fn pauses_double_until_it_is_given_up() {
        let mut restarts = Restarts::new(4);
        let nexts = [(); 4].map(|()| restarts.died(AT_ONCE));
        assert_eq!(nexts, [pause(100), pause(200), pause(400), Next::GiveUp]);
    }

    #[test]
    fn a_pause_has_an_end() {
        let mut restarts = Restarts::new(u32::MAX);
        let last = (0..100).map(|_| restarts.died(AT_ONCE)).last();
        assert_eq!(last, Some(Next::Start(PAUSE_MAX)));
    }

    #[test]
    fn one_that_had_lived_begins_anew() {
        let mut restarts = Restarts::new(2);
        assert_eq!(restarts.died(AT_ONCE), pause(100));
        assert_eq!(restarts.died(STARTED_AFTER), pause(0));
        assert_eq!(restarts.died(AT_ONCE), pause(100));
        restarts.forget();
        assert_eq!(restarts.died(AT_ONCE), pause(100));
        assert_eq!(restarts.died(AT_ONCE), Next::GiveUp);
    }
}
