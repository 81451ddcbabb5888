//! Messages in work: how many there may be, and what keeps them hidden from other receivers.

use std::{
    collections::HashSet,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{MissedTickBehavior, interval},
};

use crate::{
    Sqs,
    requests::{MESSAGES_MAX, hide},
};

/// How often messages in work are hidden again.
const HIDE_AGAIN: Duration = Duration::from_secs(20);
/// How many requests hide messages at once.
const REQUESTS_AT_ONCE: usize = 8;

/// The messages that a source has received and is not done with.
#[derive(Debug)]
pub(crate) struct InWork {
    room: Semaphore,
    receipts: Mutex<HashSet<Arc<str>>>,
}

/// Room for messages that may be received.
pub(crate) type Room<'a> = SemaphorePermit<'a>;

/// A message in work. Dropped, it shows again in its time unless it was deleted.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    in_work: &'a InWork,
    pub(crate) receipt: Arc<str>,
    _room: Room<'a>,
}

impl InWork {
    /// With room for so many messages.
    pub(crate) fn new(messages_max: usize) -> Self {
        Self {
            room: Semaphore::new(messages_max),
            receipts: Mutex::default(),
        }
    }

    /// Waits for room for a message, and takes what there is for a request.
    pub(crate) async fn room(&self) -> Room<'_> {
        let Ok(mut room) = self.room.acquire().await else {
            return std::future::pending().await; // It is never closed.
        };
        while room.num_permits() < MESSAGES_MAX
            && let Ok(more) = self.room.try_acquire()
        {
            room.merge(more);
        }
        room
    }

    /// Keeps a message hidden, in the room that it was received for.
    pub(crate) fn hold<'a>(&'a self, receipt: String, room: Room<'a>) -> Held<'a> {
        let receipt: Arc<str> = receipt.into();
        self.receipts().insert(Arc::clone(&receipt));
        Held {
            in_work: self,
            receipt,
            _room: room,
        }
    }

    /// Hides what is in work from other receivers, again and again.
    pub(crate) async fn keep_hidden(&self, sqs: &Sqs) -> Infallible {
        let mut ticks = interval(HIDE_AGAIN);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let receipts: Vec<Arc<str>> = self.receipts().iter().cloned().collect();
            stream::iter(receipts.chunks(MESSAGES_MAX))
                .for_each_concurrent(REQUESTS_AT_ONCE, |some| {
                    hide(sqs, some.iter().map(|receipt| &**receipt))
                })
                .await;
        }
    }

    fn receipts(&self) -> MutexGuard<'_, HashSet<Arc<str>>> {
        self.receipts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.in_work.receipts().remove(&self.receipt);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn a_request_takes_the_room_that_there_is_and_messages_give_it_back() {
        let in_work = InWork::new(12);
        let room = |in_work: &InWork| Some(in_work.room().now_or_never()?.num_permits());
        let mut first = in_work.room().now_or_never().unwrap();
        assert_eq!(first.num_permits(), 10);
        assert_eq!(room(&in_work), Some(2));
        let held: Vec<Held<'_>> = (0..10)
            .map(|number| in_work.hold(number.to_string(), first.split(1).unwrap()))
            .collect();
        drop(first);
        assert_eq!(in_work.receipts().len(), 10);
        let last = in_work.room().now_or_never().unwrap();
        assert_eq!(last.num_permits(), 2);
        assert_eq!(room(&in_work), None);
        drop(held);
        assert_eq!(in_work.receipts().len(), 0);
        assert_eq!(room(&in_work), Some(10));
    }
}
