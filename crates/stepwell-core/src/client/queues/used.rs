//! The queues that the code of this process uses, which it declares by that.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tracing::warn;

use crate::{
    client::Client,
    engine::{Engine, declare},
    store::{Declaring, Launch, NewWorkflow, QueueLimits, QueueUse},
};

/// The queues by name, with the limits that the code gives them.
#[derive(Debug, Default)]
pub(in crate::client) struct Used(Mutex<BTreeMap<String, Limits>>);

#[derive(Debug)]
struct Limits {
    limits: QueueLimits,
    /// Whether it was said that another part of the code gives others.
    is_contradicted: bool,
}

impl Used {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Limits>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a queue. Whether it is used for the first time.
    fn note(&self, queue: &QueueUse) -> bool {
        let mut used = self.lock();
        let Some(known) = used.get_mut(&queue.name) else {
            let limits = Limits {
                limits: queue.limits,
                is_contradicted: false,
            };
            used.insert(queue.name.clone(), limits);
            return true;
        };
        if known.limits != queue.limits && !known.is_contradicted {
            known.is_contradicted = true;
            warn!(
                queue = queue.name,
                "two parts of the code give the queue different limits; those that were used first \
                 are declared"
            );
        }
        false
    }
}

impl Client {
    /// What the code of this process declares.
    pub(crate) fn declared_queues(&self) -> Vec<(String, QueueLimits)> {
        let used = self.0.queues.lock();
        let declared = used
            .iter()
            .map(|(name, known)| (name.clone(), known.limits));
        declared.collect()
    }

    /// Notes the queue of a start in a transaction of the user's own. It is declared later: the
    /// declaration would wait for that transaction, which waits for it.
    pub(crate) fn note_queue(&self, new: &NewWorkflow) {
        if let Launch::Queue(queue) = &new.launch {
            self.0.queues.note(queue);
        }
    }

    /// Declares the queues of starts that this process uses for the first time, so that their limits
    /// hold from these starts on. If that fails, it is made up for when they are declared again.
    pub(crate) async fn use_queues(&self, engine: &Arc<Engine>, new: &[NewWorkflow]) {
        for new in new {
            let Launch::Queue(queue) = &new.launch else {
                continue;
            };
            if !self.0.queues.note(queue) {
                continue;
            }
            // What runs no workflows declares nothing: the start makes the queue if there is none.
            let Some(me) = self.0.journal.executor() else {
                continue;
            };
            let limits = (queue.name.as_str(), queue.limits);
            match declare::declare_queue(engine, &me, limits, Declaring::Anew).await {
                Ok(outcome) => declare::tell_queue(&queue.name, outcome),
                Err(error) => warn!(queue = queue.name, %error, "could not declare a queue"),
            }
        }
    }
}
