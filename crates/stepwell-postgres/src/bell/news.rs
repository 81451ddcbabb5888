//! What a notification says: who rings, what kinds of things are new, and in which workflows.
//!
//! `<who> <kinds> <keys>`: kinds are `w` for work, `i` for interrupts, `*` for any workflow; keys
//! are numbers with commas.

use std::fmt::Write as _;

use stepwell_core::{
    WorkflowKey,
    store::{Batch, Change, Changed, Effect, Launch, NewWorkflow, News, ScheduleChange},
};

/// How many keys fit a notification of at most 8,000 bytes.
const KEYS_MAX: usize = 350;

/// How many workflows are named at most; more than that are any.
const NAMED_MAX: usize = 16 * KEYS_MAX;

/// What is to be told of changes: some are known by their ids alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tidings {
    pub(super) news: News,
    /// Workflows that have changed, by their ids.
    pub(super) ids: Vec<String>,
}

impl From<News> for Tidings {
    fn from(news: News) -> Self {
        Self {
            news,
            ids: Vec::new(),
        }
    }
}

impl Tidings {
    /// What others may wait for in what a batch brings about. Without an executor nothing of it runs
    /// here: what is started waits for one.
    pub(crate) fn of(batch: &Batch) -> Self {
        let mut tidings = Self::default();
        batch.changes.iter().for_each(|change| tidings.note(change));
        let is_start = |change: &Change| matches!(change, Change::Start(_));
        tidings.news.work |= batch.executor.is_none() && batch.changes.iter().any(is_start);
        tidings
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.news.is_nothing() && self.ids.is_empty()
    }

    pub(super) fn add(&mut self, other: Self) {
        self.news.add(other.news);
        self.ids.extend(other.ids);
    }

    fn note(&mut self, change: &Change) {
        match change {
            Change::Start(new) => self.note_start(new),
            Change::Progress(progress) => {
                for effect in &progress.effects {
                    match effect {
                        Effect::SetEvent { .. } | Effect::Append { .. } => {
                            self.changed(progress.key);
                        }
                        Effect::Send(message) => self.ids.push(message.to.to_string()),
                        Effect::Start(child) => self.note_start(child),
                        // As with a cancellation of its own.
                        Effect::Cancel(_) => self.news.add(News::of_anything()),
                        Effect::Receive { .. } | Effect::SetAttribute { .. } => {}
                    }
                }
            }
            Change::Finish(finish) => {
                self.changed(finish.key);
                // A place in a queue may be free.
                self.news.work = true;
                finish
                    .alerts
                    .iter()
                    .for_each(|alert| self.note_start(alert));
            }
            Change::Send(message) => self.ids.push(message.to.to_string()),
            // Its descendants are cancelled with it, and places become free.
            Change::Cancel(_) | Change::Delete(_) => self.news.add(News::of_anything()),
            Change::Fork(fork) if fork.letter.is_some() => self.news.add(News::of_anything()),
            Change::Resume(id) => {
                self.ids.push(id.to_string());
                self.news.work = true;
            }
            Change::Fork(_) | Change::Queue(_) | Change::Schedule(ScheduleChange::Tick(_)) => {
                self.news.work = true
            }
            // Nobody waits for it.
            Change::Park(_) | Change::Acknowledge(_) | Change::Edit(_) | Change::Schedule(_) => {}
        }
    }

    fn note_start(&mut self, new: &NewWorkflow) {
        self.news.work |= !new.runs_here() || new.launch == Launch::Anywhere;
        if new.unique.is_some() {
            // It comes to one that is not named here, or cancels it.
            self.news.workflows = Changed::Any;
        } else if new.message.is_some() {
            self.ids.push(new.id.to_string());
        }
    }

    fn changed(&mut self, key: WorkflowKey) {
        if let Changed::These(keys) = &mut self.news.workflows {
            keys.push(key);
        }
    }

    /// The notifications that tell it, but for the ids; and what those begin with that do.
    pub(super) fn payloads(&mut self, who: &str) -> (Vec<String>, String) {
        if let Changed::These(keys) = &mut self.news.workflows {
            keys.sort_unstable();
            keys.dedup();
            self.ids.sort_unstable();
            self.ids.dedup();
            if keys.len() > NAMED_MAX || self.ids.len() > KEYS_MAX {
                self.news.workflows = Changed::Any;
            }
        }
        let mut kinds = String::new();
        let News {
            workflows,
            work,
            interrupts,
        } = &self.news;
        if *work {
            kinds.push('w');
        }
        if *interrupts {
            kinds.push('i');
        }
        let keys: &[WorkflowKey] = match workflows {
            Changed::These(keys) => keys,
            Changed::Any => {
                kinds.push('*');
                self.ids.clear();
                &[]
            }
        };
        let tell = |keys: &[WorkflowKey]| format!("{who} {kinds} {}", listed(keys));
        let payloads = match keys {
            [] if kinds.is_empty() => Vec::new(),
            [] => vec![tell(&[])],
            keys => keys.chunks(KEYS_MAX).map(tell).collect(),
        };
        (payloads, format!("{who}  "))
    }
}

fn listed(keys: &[WorkflowKey]) -> String {
    let mut list = String::new();
    for key in keys {
        let comma = if list.is_empty() { "" } else { "," };
        // A string takes all that is written to it.
        let _ = write!(list, "{comma}{}", key.0);
    }
    list
}

/// What a notification tells, unless it is our own. One that cannot be read tells that anything may
/// be new.
pub(super) fn read(payload: &str, me: &str) -> Option<News> {
    let mut parts = payload.split(' ');
    let (who, kinds, keys) = (parts.next()?, parts.next(), parts.next());
    if who == me {
        return None;
    }
    let named = || {
        let keys = keys?.split(',').filter(|key| !key.is_empty());
        let keys: Result<Vec<_>, _> = keys.map(|key| key.parse().map(WorkflowKey)).collect();
        keys.ok()
    };
    let (Some(kinds), Some(keys)) = (kinds, named()) else {
        return Some(News::of_anything());
    };
    let workflows = match kinds.contains('*') {
        true => Changed::Any,
        false => Changed::These(keys),
    };
    Some(News {
        workflows,
        work: kinds.contains('w'),
        interrupts: kinds.contains('i'),
    })
}

#[cfg(test)]
mod tests {
    use stepwell_core::{End, Payload, WorkflowId, store::Finish};

    use super::*;

    fn finish(key: i64) -> Change {
        Change::Finish(Finish {
            key: WorkflowKey(key),
            end: End::Succeeded(Payload::null()),
            version: "v1".into(),
            alerts: Vec::new(),
        })
    }

    /// A batch of an executor.
    fn batch(changes: &[Change]) -> Batch {
        Batch {
            executor: Some(stepwell_core::ExecutorId::generate()),
            changes: changes.to_vec(),
        }
    }

    /// What a listener hears of changes.
    fn heard(changes: &[Change]) -> Vec<News> {
        let (payloads, _) = Tidings::of(&batch(changes)).payloads("me");
        assert!(payloads.iter().all(|payload| payload.len() < 8_000));
        payloads
            .iter()
            .filter_map(|payload| read(payload, "you"))
            .collect()
    }

    #[test]
    fn an_end_names_its_workflow() {
        let keys = vec![WorkflowKey(3), WorkflowKey(7)];
        let news = News {
            workflows: Changed::These(keys),
            work: true,
            interrupts: false,
        };
        assert_eq!(heard(&[finish(7), finish(3), finish(7)]), [news]);
    }

    #[test]
    fn many_ends_are_many_notifications() {
        let ends: Vec<_> = (0..1_000).map(finish).collect();
        let news = heard(&ends);
        assert_eq!(news.len(), 3);
        let named = news.iter().map(|news| match &news.workflows {
            Changed::These(keys) => keys.len(),
            Changed::Any => 0,
        });
        assert_eq!(named.sum::<usize>(), 1_000);
    }

    #[test]
    fn too_many_are_any() {
        let ends: Vec<_> = (0..10_000).map(|key| finish(i64::MAX - key)).collect();
        let [news] = &heard(&ends)[..] else {
            panic!("one notification says it all");
        };
        assert_eq!(news.workflows, Changed::Any);
    }

    #[test]
    fn a_cancellation_is_anything() {
        let cancel = Change::Cancel(stepwell_core::store::Cancel {
            id: WorkflowId::new("order-1").unwrap(),
            cause: stepwell_core::store::CancelCause::Request,
        });
        assert_eq!(heard(&[cancel]), [News::of_anything()]);
    }

    #[test]
    fn what_runs_here_is_nobodys_news() {
        let id = WorkflowId::new("order-1").unwrap();
        let here = NewWorkflow {
            launch: Launch::Here,
            ..NewWorkflow::new(id.clone(), "checkout", Payload::null())
        };
        assert!(Tidings::of(&batch(&[Change::Start(here.clone())])).is_nothing());
        let by_a_client = Batch {
            executor: None,
            changes: vec![Change::Start(here)],
        };
        assert_eq!(Tidings::of(&by_a_client).news, News::of_work());
        let anywhere = NewWorkflow::new(id, "checkout", Payload::null());
        assert_eq!(heard(&[Change::Start(anywhere)]), [News::of_work()]);
    }

    #[test]
    fn our_own_is_no_news() {
        let (payloads, _) = Tidings::of(&batch(&[finish(1)])).payloads("me");
        assert_eq!(read(&payloads[0], "me"), None);
    }

    #[test]
    fn what_cannot_be_read_is_anything() {
        for payload in ["x", "x w", "x w 1,b", "x w 1.5"] {
            assert_eq!(read(payload, "me"), Some(News::of_anything()), "{payload}");
        }
    }
}
