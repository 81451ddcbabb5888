//! Typed names, declared once: topics, events, streams, queues.

use std::{fmt, marker::PhantomData};

use crate::store::{QueueLimits, QueueUse};

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

    /// The queue as a workflow names it that goes through it.
    pub(crate) fn as_use(&self) -> QueueUse {
        QueueUse {
            name: self.name.to_owned(),
            limits: self.limits,
        }
    }

    /// The queue's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}
