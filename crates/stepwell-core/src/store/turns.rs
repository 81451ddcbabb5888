//! Keys of a queue take turns: whoever has the fewest that run is next.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::id::WorkflowKey;

/// How many keys of a queue one look takes in.
pub const KEYS_PER_LOOK: u32 = 128;

/// What waits in a queue under one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// The key.
    pub key: String,
    /// How many of it run.
    pub running: u32,
    /// What waits, the first in line first, with its rank.
    pub waiting: Vec<(i64, WorkflowKey)>,
}

/// Who gets the places of a queue: each place goes to the key that has the fewest then, and among
/// equals to the lane that stands first. No key gets more than `key_concurrency`.
#[must_use]
pub fn take_turns(
    lanes: &[Lane],
    places: u32,
    key_concurrency: Option<u32>,
) -> Vec<(i64, WorkflowKey)> {
    let most = key_concurrency.unwrap_or(u32::MAX);
    let mut line: Vec<_> = (lanes.iter().enumerate())
        .flat_map(|(number, lane)| {
            let turns = lane.running..most;
            (turns.zip(&lane.waiting)).map(move |(running, waiting)| (running, number, *waiting))
        })
        .collect();
    line.sort_unstable();
    line.truncate(usize::try_from(places).unwrap_or(usize::MAX));
    let mut last = i64::MIN;
    // Whoever merges several queues by rank keeps the order of the turns.
    let in_order = line.into_iter().map(|(_, _, (rank, key))| {
        last = last.max(rank);
        (last, key)
    });
    in_order.collect()
}

/// How much of each key is worth looking at, when so many of each run: more than it would get if all
/// had enough waiting, so that those with little leave their places to the others.
#[must_use]
pub fn enough(running: &[u32], places: u32, key_concurrency: Option<u32>) -> Vec<u32> {
    let most = key_concurrency.unwrap_or(u32::MAX);
    let level = running.iter().min().copied().unwrap_or(0);
    let keys = u32::try_from(running.len()).unwrap_or(u32::MAX).max(1);
    // No key gets beyond this while there are others.
    let share = level.saturating_add(places.div_ceil(keys).saturating_mul(2).saturating_add(1));
    let look = |running: &u32| {
        let free = most.saturating_sub(*running);
        share.saturating_sub(*running).max(1).min(free).min(places)
    };
    running.iter().map(look).collect()
}

/// Behind which key the next look at each queue begins, so that all keys come to their turn. Each
/// process has its own, and begins anew: no promise stands on it.
#[derive(Debug, Default)]
pub struct Turns(Mutex<HashMap<String, String>>);

impl Turns {
    /// The last key that was looked at.
    #[must_use]
    pub fn after(&self, queue: &str) -> Option<String> {
        self.lock().get(queue).cloned()
    }

    /// Begins behind this key the next time.
    pub fn move_on(&self, queue: &str, key: &str) {
        self.lock().insert(queue.to_owned(), key.to_owned());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A lane whose workflows have the keys `first`, `first + 1`, ….
    fn lane(key: &str, running: u32, first: i64, waiting: i64) -> Lane {
        Lane {
            key: key.to_owned(),
            running,
            waiting: (first..first + waiting)
                .map(|key| (key, WorkflowKey(key)))
                .collect(),
        }
    }

    #[track_caller]
    fn check(lanes: &[Lane], places: u32, key_concurrency: Option<u32>, expected: &[i64]) {
        let taken = take_turns(lanes, places, key_concurrency);
        let keys: Vec<_> = taken.iter().map(|(_, key)| key.0).collect();
        assert_eq!(keys, expected);
        assert!(taken.is_sorted_by_key(|(rank, _)| *rank), "{taken:?}");
    }

    #[test]
    fn one_key_is_first_in_first_out() {
        check(&[lane("a", 0, 10, 5)], 3, None, &[10, 11, 12]);
    }

    #[test]
    fn keys_take_turns() {
        let lanes = [
            lane("a", 0, 10, 50),
            lane("b", 0, 70, 2),
            lane("c", 0, 90, 1),
        ];
        check(&lanes, 6, None, &[10, 70, 90, 11, 71, 12]);
    }

    #[test]
    fn whoever_has_fewer_is_next() {
        let lanes = [lane("a", 2, 10, 50), lane("b", 0, 70, 50)];
        check(&lanes, 4, None, &[70, 71, 10, 72]);
    }

    #[test]
    fn no_key_gets_more_than_its_limit() {
        let lanes = [
            lane("a", 1, 10, 50),
            lane("b", 0, 70, 50),
            lane("c", 2, 80, 1),
        ];
        check(&lanes, 100, Some(2), &[70, 10, 71]);
    }

    #[test]
    fn no_place_is_nobodys() {
        check(&[lane("a", 0, 10, 5)], 0, None, &[]);
        check(&[lane("a", 0, 10, 5)], 5, Some(0), &[]);
    }

    #[test]
    fn one_key_alone_is_looked_at_for_all_places() {
        assert_eq!(enough(&[0], 10, None), [10]);
        assert_eq!(enough(&[7], 10, None), [10]);
    }

    #[test]
    fn of_many_keys_each_is_looked_at_for_its_share() {
        assert_eq!(enough(&[0; 50], 100, None), [5; 50]);
        assert_eq!(enough(&[0, 40], 10, None), [10, 1]);
    }

    #[test]
    fn nothing_is_looked_at_beyond_a_limit() {
        assert_eq!(enough(&[0, 1, 2, 3], 100, Some(2)), [2, 1, 0, 0]);
        assert_eq!(enough(&[0, 0], 0, None), [0, 0]);
        assert!(enough(&[], 5, None).is_empty());
    }

    #[test]
    fn the_next_look_begins_behind_the_last_key() {
        let turns = Turns::default();
        assert_eq!(turns.after("mail"), None);
        turns.move_on("mail", "ann");
        assert_eq!(turns.after("mail").as_deref(), Some("ann"));
        assert_eq!(turns.after("print"), None);
    }
}
