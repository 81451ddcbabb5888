//! Wakes those who wait, inside this process. A wake-up says "look again", never what happened: the
//! database decides.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::{Notify, futures::OwnedNotified};

use crate::{
    id::WorkflowKey,
    store::{Changed, News},
    workflow::Outcome,
};

/// Who waits for what.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    /// Those who wait for a workflow: for its messages, events, stream entries or end.
    workflows: Mutex<HashMap<WorkflowKey, Weak<Place>>>,
    /// The dispatcher, which waits for workflows that wait for an executor.
    work: Notify,
    /// The one who waits for deadlines.
    deadlines: Notify,
    /// The one who waits for ticks.
    schedules: Notify,
    /// The one who ends runs that were cancelled.
    interrupts: Notify,
}

impl Hub {
    /// A place to wait for changes of one workflow.
    pub(crate) fn watch(&self, key: WorkflowKey) -> Watch {
        let mut workflows = self.lock();
        let place = match workflows.get(&key).and_then(Weak::upgrade) {
            Some(place) => place,
            None => {
                let place = Arc::new(Place::default());
                // A place that nobody holds any more is swept when the map has doubled.
                if workflows.len() == workflows.capacity() {
                    workflows.retain(|_, place| place.strong_count() > 0);
                }
                workflows.insert(key, Arc::downgrade(&place));
                place
            }
        };
        Watch { place }
    }

    /// Something of this workflow has changed.
    pub(crate) fn changed(&self, key: WorkflowKey) {
        let place = self.lock().get(&key).and_then(Weak::upgrade);
        if let Some(place) = place {
            place.touch();
        }
    }

    /// This workflow has ended in this process. Those who watch it need not ask the database.
    pub(crate) fn ended(&self, key: WorkflowKey, result: Outcome) {
        if let Some(place) = self.lock().get(&key).and_then(Weak::upgrade) {
            // A result never changes: a second one is the same.
            drop(place.result.set(result));
            place.changed.notify_waiters();
            place.recorded.notify_waiters();
        }
    }

    /// This workflow has recorded an operation. Only views that show it live care.
    pub(crate) fn recorded(&self, key: WorkflowKey) {
        let place = self.lock().get(&key).and_then(Weak::upgrade);
        if let Some(place) = place {
            place.recorded.notify_waiters();
        }
    }

    /// Another process has written: those look again who wait for it.
    pub(crate) fn hear(&self, news: News) {
        match news.workflows {
            Changed::These(keys) => keys.into_iter().for_each(|key| self.changed(key)),
            Changed::Any => {
                let places: Vec<_> = self.lock().values().filter_map(Weak::upgrade).collect();
                places.iter().for_each(|place| place.touch());
            }
        }
        if news.work {
            self.work_arrived();
        }
        if news.interrupts {
            self.interrupts_arrived();
        }
    }

    /// A workflow waits for an executor, or a place in a queue is free.
    pub(crate) fn work_arrived(&self) {
        self.work.notify_one();
        // What has arrived may have a deadline before the next one that is known.
        self.deadlines.notify_one();
    }

    /// Returns when there may be another deadline since the last return.
    pub(crate) async fn deadlines(&self) {
        self.deadlines.notified().await;
    }

    /// Returns when work has arrived since the last return.
    pub(crate) async fn work(&self) {
        self.work.notified().await;
    }

    /// A schedule is another one now.
    pub(crate) fn schedules_change(&self) {
        self.schedules.notify_one();
    }

    /// Returns when a schedule has changed since the last return.
    pub(crate) async fn schedules_changed(&self) {
        self.schedules.notified().await;
    }

    /// A workflow that runs here may have been cancelled.
    pub(crate) fn interrupts_arrived(&self) {
        self.interrupts.notify_one();
    }

    /// Returns when interrupts may have arrived since the last return.
    pub(crate) async fn interrupts(&self) {
        self.interrupts.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<WorkflowKey, Weak<Place>>> {
        self.workflows
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where those wait who watch one workflow.
#[derive(Debug, Default)]
struct Place {
    /// For its messages, events, stream entries or end.
    changed: Arc<Notify>,
    /// For those and for every record.
    recorded: Arc<Notify>,
    /// Whether anything has changed, apart from records, since it was first watched.
    touched: AtomicBool,
    /// Its result, when it has ended with one in this process while somebody watched.
    result: OnceLock<Outcome>,
}

impl Place {
    fn touch(&self) {
        self.touched.store(true, Ordering::SeqCst);
        self.changed.notify_waiters();
        self.recorded.notify_waiters();
    }
}

/// A place to wait for changes of one workflow.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    place: Arc<Place>,
}

impl Watch {
    /// The workflow's result, if it has ended in this process since the watch began.
    pub(crate) fn result(&self) -> Option<&Outcome> {
        self.place.result.get()
    }

    /// Whether nothing but records and a result can have come since the watch began.
    pub(crate) fn is_untouched(&self) -> bool {
        !self.place.touched.load(Ordering::SeqCst)
    }

    /// Registers now, and returns when the workflow has changed after that. Take it before the look
    /// and await it after, and no change in between is missed.
    pub(crate) fn next(&self) -> Pin<Box<OwnedNotified>> {
        registered(&self.place.changed)
    }

    /// As [`next`](Self::next), and for every record, too.
    pub(crate) fn next_record(&self) -> Pin<Box<OwnedNotified>> {
        registered(&self.place.recorded)
    }
}

fn registered(notify: &Arc<Notify>) -> Pin<Box<OwnedNotified>> {
    let mut changed = Box::pin(Arc::clone(notify).notified_owned());
    changed.as_mut().enable();
    changed
}
