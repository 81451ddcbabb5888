//! Typed names, declared once: topics, events, streams, queues.

use std::{fmt, marker::PhantomData, time::Duration};

use crate::store::{QueueLimits, QueueUse, Rate};

macro_rules! typed_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub struct $name<T> {
            name: &'static str,
            carries: PhantomData<fn() -> T>,
        }

        impl<T> $name<T> {
            /// Declares the name: 1 to 255 bytes, checked where it is used.
            #[must_use]
            pub const fn new(name: &'static str) -> Self {
                Self { name, carries: PhantomData }
            }

            /// The name.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                self.name
            }
        }

        impl<T> Copy for $name<T> {}

        impl<T> Clone for $name<T> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.name).finish()
            }
        }
    };
}

typed_name! {
    /// A mailbox of a workflow: `const PAYMENT: Topic<PaymentStatus> = Topic::new("payment");`
    ///
    /// Messages are received in the order in which they were sent, each by one receive.
    Topic
}

typed_name! {
    /// A value that a workflow publishes: `const ORDER: Event<String> = Event::new("order");`
    ///
    /// Publishing again replaces the value.
    Event
}

typed_name! {
    /// Values that a workflow appends one after the other, to be read while it runs:
    /// `const LOG: Stream<Line> = Stream::new("log");`
    Stream
}

/// A queue: `static ORDERS: Queue = Queue::new("orders").concurrency(10);`
///
/// The limits hold across every executor, through crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    pub(crate) name: &'static str,
    pub(crate) limits: QueueLimits,
}

impl Queue {
    /// Declares a queue without limits.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        let limits = QueueLimits {
            concurrency: None,
            executor_concurrency: None,
            key_concurrency: None,
            rate: None,
            waiting_max: None,
        };
        Self { name, limits }
    }

    /// How many of its workflows run at once, in all executors together.
    #[must_use]
    pub const fn concurrency(mut self, workflows: u32) -> Self {
        self.limits.concurrency = Some(workflows);
        self
    }

    /// How many of its workflows run at once in one executor.
    #[must_use]
    pub const fn executor_concurrency(mut self, workflows: u32) -> Self {
        self.limits.executor_concurrency = Some(workflows);
        self
    }

    /// How many of its workflows run at once of each key: see [`Call::queue_key`](crate::Call::queue_key).
    #[must_use]
    pub const fn key_concurrency(mut self, workflows: u32) -> Self {
        self.limits.key_concurrency = Some(workflows);
        self
    }

    /// How many of its workflows begin in any period of this length (whole milliseconds), in all
    /// executors together. One that is taken over after a crash begins once more.
    #[must_use]
    pub const fn rate(mut self, starts: u32, period: Duration) -> Self {
        let period = period.as_millis();
        let period_ms = if period > u32::MAX as u128 {
            // Too long; it is refused when the queue is used.
            u32::MAX
        } else {
            #[allow(
                clippy::cast_possible_truncation,
                reason = "it is no longer than that, and `as` alone is const"
            )]
            {
                period as u32
            }
        };
        self.limits.rate = Some(Rate { starts, period_ms });
        self
    }

    /// How many workflows may wait in it. A start beyond that is refused with
    /// [`ErrorKind::Full`](crate::ErrorKind::Full), and nothing is written. Children are let in: their
    /// parent may hold the place that the queue waits for. What is delayed waits in the queue only
    /// when its time has come.
    #[must_use]
    pub const fn waiting_max(mut self, workflows: u32) -> Self {
        self.limits.waiting_max = Some(workflows);
        self
    }

    /// The queue as a workflow names it that goes through it.
    pub(crate) fn as_use(&self) -> QueueUse {
        QueueUse {
            limits: self.limits,
            ..QueueUse::new(self.name)
        }
    }

    /// The queue's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}
