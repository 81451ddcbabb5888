//! How a library is driven and timed, whichever it is. The peers' program compiles these files as
//! well, so that the same loop runs the same work on all of them.
//!
//! A `mod.rs`, so that the path from the peers' program finds the files beside it.

pub(crate) mod drain;
pub(crate) mod process;
pub(crate) mod rounds;
pub(crate) mod serve;
pub(crate) mod waiting;
pub(crate) mod wakes;

use std::future::Future;

pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

/// A library of durable execution, and the few workflows that are measured.
pub(crate) trait Library: Clone + Send + Sync + 'static {
    /// A workflow that was started and will have a result.
    type Handle: Send + 'static;

    /// Runs a workflow of so many steps, in turn, each timed by [`rounds::Laps`].
    fn run_steps(&self, count: u32) -> impl Future<Output = Result<(), Error>> + Send;

    /// Starts a workflow that receives a message, publishes an event, receives another one and
    /// ends, with a mark of [`wakes`] after each of them. Its id comes with it.
    fn start_waiter(&self) -> impl Future<Output = Result<(String, Self::Handle), Error>> + Send;

    /// Sends it one of the two messages.
    fn send(&self, id: &str) -> impl Future<Output = Result<(), Error>> + Send;

    /// Waits for its event.
    fn read_event(&self, id: String) -> impl Future<Output = Result<(), Error>> + Send;

    /// Waits for its result.
    fn result(&self, of: Self::Handle) -> impl Future<Output = Result<(), Error>> + Send;

    /// Puts a workflow of one step into a queue without a limit and waits for its result.
    fn run_queued(&self) -> impl Future<Output = Result<(), Error>> + Send;

    /// Puts a workflow whose one step is [`drain::pass`] into a queue with a limit of
    /// [`drain::LIMIT`].
    fn enqueue_gated(&self) -> impl Future<Output = Result<(), Error>> + Send;
}

/// A count of a benchmark, to calculate with.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a benchmark are far below 2^52"
)]
pub(crate) fn number(count: usize) -> f64 {
    count as f64
}

/// So many percent of the values are at most this.
pub(crate) fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted
        .get(sorted.len() * percent / 100)
        .copied()
        .unwrap_or(f64::NAN)
}
