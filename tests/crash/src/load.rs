//! The workflows of a fleet, as the test that starts them and the executors that run them know them.

use serde::{Deserialize, Serialize};
use stepwell::{Queue, Topic};

/// The application that all executors of a fleet belong to.
pub const APPLICATION: &str = "fleet";

/// How many workflows of the queue `narrow` may run at once, in all executors together.
pub const NARROW: u32 = 4;

/// The same of the queue `wide`, and in one executor.
pub const WIDE: (u32, u32) = (7, 3);

/// How many workflows of the queue `parts` may run at once in one executor.
pub const PARTS: u32 = 5;

/// The queue of the children.
pub static PARTS_QUEUE: Queue = Queue::new("parts").executor_concurrency(PARTS);

/// Where a receiver gets its letters.
pub const LETTERS: Topic<Letter> = Topic::new("letters");

/// A message: from whom, and which of theirs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// The sender's id.
    pub from: String,
    /// Counts the letters of one sender to one receiver from 0.
    pub number: u64,
}

/// What an order came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// What its steps, its child and its transactions answered, added up.
    pub sum: u64,
    /// How long it wanted to sleep, and how long it did by the store's clock.
    pub slept_ms: (u64, u64),
}
