//! What a kind of source implements.

use stepwell_core::{BoxFuture, Error, Workflow};

use crate::intake::Intake;

/// How many bytes of bodies make a batch full: 16 MiB. A source that hands in many events at once adds
/// none to a batch that has as many, so that large events are few at a time in memory.
pub const BATCH_BYTES: usize = 16 * 1_024 * 1_024;

/// Where events come from: an endpoint, a topic, a queue. `W` is what its events start.
pub trait Source<W: Workflow> {
    /// The source's name: the beginning of its workflows' ids, and what metrics call it. Two sources of
    /// one name are refused.
    fn name(&self) -> &str;

    /// Connects the source to its intake. Nothing may come from it before
    /// [`Sources::start`](crate::Sources::start), except requests.
    ///
    /// # Errors
    /// [`ErrorKind::Setup`](stepwell_core::ErrorKind::Setup) if the source cannot work as it is set up.
    /// A broker that is away is no error: the source waits for it.
    fn connect(self, intake: Intake<W>) -> Result<Connected, Error>;
}

/// A source that is connected.
pub enum Connected {
    /// Its events come as requests.
    #[cfg(feature = "axum")]
    Routes(axum::Router),
    /// Its events are fetched by this, which ends when the application stops
    /// ([`Intake::stopping`]) and what it has fetched is acknowledged or left to the source.
    Consumer(BoxFuture<'static, ()>),
}

impl std::fmt::Debug for Connected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            #[cfg(feature = "axum")]
            Self::Routes(_) => "Routes",
            Self::Consumer(_) => "Consumer",
        })
    }
}
