//! Queues, from outside.

mod used;

pub(super) use used::Used;

use super::{Client, unexpected};
use crate::{
    error::{Error, ErrorKind},
    limits::{Text, check_queue_limits},
    store::{Applied, Change, QueueChange, QueueChanged, QueueInfo, QueueLimits},
};

impl Client {
    /// Every queue, by name. The first start that names a queue makes it.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if the database does not answer.
    pub async fn queues(&self) -> Result<Vec<QueueInfo>, Error> {
        let queues = self.0.store.queues().await;
        queues.map_err(|error| Error::of_store("list queues", error))
    }

    /// The queue of a name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none.
    pub async fn queue(&self, name: &str) -> Result<QueueInfo, Error> {
        Text::QueueName.check(name)?;
        let mut queues = self.queues().await?.into_iter();
        let found = queues.find(|queue| queue.name == name);
        found.ok_or_else(|| no_such_queue(name))
    }

    /// Sets how much of a queue may run at once, in place of what the code declares, until it is
    /// [unset](Self::unlimit_queue). A lowered limit is reached by draining: what runs goes on.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such queue, [`ErrorKind::Invalid`] for a rate without a
    /// sensible period.
    pub async fn limit_queue(&self, name: &str, limits: QueueLimits) -> Result<(), Error> {
        Text::QueueName.check(name)?;
        check_queue_limits(name, &limits)?;
        let name = name.to_owned();
        self.change_queue(QueueChange::Limit { name, limits }).await
    }

    /// Gives a queue whose limits were set by hand back to the code: what runs that code declares its
    /// limits within ten seconds. Until then they stay.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such queue.
    pub async fn unlimit_queue(&self, name: &str) -> Result<(), Error> {
        Text::QueueName.check(name)?;
        let name = name.to_owned();
        self.change_queue(QueueChange::Unlimit { name }).await
    }

    /// Lets nothing more of a queue begin until it is resumed. What runs goes on. Who and why are
    /// shown with it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such queue.
    pub async fn pause_queue(&self, name: &str, by: &str, why: &str) -> Result<(), Error> {
        Text::QueueName.check(name)?;
        Text::Person.check(by)?;
        Text::Reason.check(why)?;
        self.change_queue(QueueChange::Pause {
            name: name.to_owned(),
            by: by.to_owned(),
            why: why.to_owned(),
        })
        .await
    }

    /// Lets a paused queue go on.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such queue.
    pub async fn resume_queue(&self, name: &str) -> Result<(), Error> {
        Text::QueueName.check(name)?;
        let name = name.to_owned();
        self.change_queue(QueueChange::Resume { name }).await
    }

    async fn change_queue(&self, change: QueueChange) -> Result<(), Error> {
        let name = change.name().to_owned();
        let what = format!("change the queue `{name}`");
        match self.request(&what, Change::Queue(change)).await? {
            Applied::Queue(QueueChanged::Done | QueueChanged::Already) => Ok(()),
            Applied::Queue(QueueChanged::NoSuchQueue) => Err(no_such_queue(&name)),
            _ => Err(unexpected("a change of a queue")),
        }
    }
}

fn no_such_queue(name: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("there is no queue `{name}`; the first start that names a queue makes it"),
    )
}
