//! [`Sqs`]: what to consume, and how.

use std::fmt;

use aws_sdk_sqs::Client;
use stepwell_core::{Error, ErrorKind, Workflow};
use stepwell_events::{Connected, Intake, Source};

use crate::consume::consume;

/// How many requests for messages are open at once unless said otherwise.
const RECEIVERS: usize = 4;
/// How many messages are in work at once unless said otherwise.
const IN_WORK: usize = 1_000;
/// How many messages of a queue may be in flight at most ([quotas]).
///
/// [quotas]: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
const IN_WORK_MAX: usize = 120_000;

/// A queue of SQS, or of what speaks its protocol.
#[derive(Clone)]
pub struct Sqs {
    pub(crate) client: Client,
    pub(crate) queue_url: String,
    pub(crate) source: String,
    pub(crate) receivers: usize,
    pub(crate) in_work: usize,
    pub(crate) delete: Delete,
    pub(crate) identity: Identity,
    pub(crate) kind_attribute: Option<String>,
}

/// When a message is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delete {
    WhenStarted,
    WhenSucceeded,
}

/// What tells an event from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    Message,
    Deduplication,
}

impl fmt::Debug for Sqs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqs")
            .field("source", &self.source)
            .field("queue_url", &self.queue_url)
            .field("delete", &self.delete)
            .finish_non_exhaustive()
    }
}

impl Sqs {
    /// The queue at this URL, by a client that may receive and delete its messages.
    #[must_use]
    pub fn new(client: Client, queue_url: impl Into<String>) -> Self {
        Self {
            client,
            queue_url: queue_url.into(),
            source: "sqs".to_owned(),
            receivers: RECEIVERS,
            in_work: IN_WORK,
            delete: Delete::WhenStarted,
            identity: Identity::Message,
            kind_attribute: None,
        }
    }

    /// Names the source, where one application consumes several queues.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.source = name.into();
        self
    }

    /// How many requests for messages are open at once; 4 unless said otherwise. Each brings ten messages
    /// at most.
    #[must_use]
    pub fn receivers(mut self, requests: usize) -> Self {
        self.receivers = requests;
        self
    }

    /// Deletes a message when its workflow has succeeded, and hides it from others until then. One whose
    /// workflow fails stays, and goes to the queue's own dead-letter queue in the end.
    ///
    /// As many messages are in work at once as [`in_work`](Self::in_work) says: workflows that wait for days
    /// fill it. Without this a message is deleted when its start is durable: what fails is among Stepwell's
    /// dead letters.
    #[must_use]
    pub fn delete_when_succeeded(mut self) -> Self {
        self.delete = Delete::WhenSucceeded;
        self
    }

    /// How many messages are received and not deleted yet, at most; 1,000 unless said otherwise. SQS itself
    /// hands out no more than 120,000 of a queue.
    #[must_use]
    pub fn in_work(mut self, messages: usize) -> Self {
        self.in_work = messages;
        self
    }

    /// Takes the group and the deduplication id of a FIFO queue for the event's id: `customer-7 order-1`.
    ///
    /// SQS forgets it after five minutes, a workflow does not: a message that is sent with an id of last
    /// week is a duplicate of it. With content-based deduplication that is every message with the same
    /// body.
    #[must_use]
    pub fn by_deduplication_id(mut self) -> Self {
        self.identity = Identity::Deduplication;
        self
    }

    /// The message attribute that says what happened.
    #[must_use]
    pub fn kind_attribute(mut self, name: impl Into<String>) -> Self {
        self.kind_attribute = Some(name.into());
        self
    }

    fn check(&self) -> Result<(), String> {
        let source = &self.source;
        if self.receivers == 0 {
            return Err(format!(
                "the SQS source `{source}` has 0 receivers; set at least 1"
            ));
        }
        if self.in_work == 0 || self.in_work > IN_WORK_MAX {
            return Err(format!(
                "the SQS source `{source}` has {} messages in work at most; set a number from 1 to {IN_WORK_MAX}",
                self.in_work
            ));
        }
        Ok(())
    }
}

impl<W: Workflow> Source<W> for Sqs {
    fn name(&self) -> &str {
        &self.source
    }

    fn connect(self, intake: Intake<W>) -> Result<Connected, Error> {
        self.check()
            .map_err(|message| Error::new(ErrorKind::Setup, message))?;
        Ok(Connected::Consumer(Box::pin(consume(self, intake))))
    }
}
