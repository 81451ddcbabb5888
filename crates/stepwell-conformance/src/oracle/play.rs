//! Plays a sequence on a store and on the model, and compares each outcome.

use std::{sync::Arc, time::Duration};

use stepwell_core::{
    BoxFuture, ExecutorId, Timestamp, WorkflowKey,
    store::{
        Batch, Claim, NewExecutor, RecoveryRules, Renewal, Store, StoreError, StoreErrorKind,
        TakeOver, TakenOver,
    },
};

use super::{
    keys::Keys,
    model::{Fenced, Model, Seen},
    outcomes,
    resolve::{NAMES, Resolve, half_minutes, version},
    same::{Slack, same},
    steps::{Draft, Step},
};
use crate::Backend;

/// A sequence on its way.
pub(super) struct Play<'a> {
    backend: &'a dyn Backend,
    pub(super) store: Arc<dyn Store>,
    pub(super) model: Model,
    pub(super) keys: Keys,
    /// The last incarnation in each slot.
    slots: Vec<Option<NewExecutor>>,
    registered: u32,
    /// With the model's keys.
    last: Option<Batch>,
}

impl<'a> Play<'a> {
    pub(super) async fn new(backend: &'a dyn Backend) -> Self {
        let store = backend.fresh().await;
        // Stores round instants, each in its way: whole seconds are the same in all.
        let now = Timestamp::from_second(store.now().as_second());
        let model = Model {
            now: now.expect("a second of an instant is an instant"),
            ..Model::default()
        };
        Self {
            backend,
            store,
            model,
            keys: Keys::default(),
            slots: vec![None; 3],
            registered: 0,
            last: None,
        }
    }

    /// Plays all of it. The error says the step and what differs.
    pub(super) async fn all(&mut self, steps: &[Step]) -> Result<(), String> {
        for (number, step) in steps.iter().enumerate() {
            let before = self.model.clone();
            let played = match self.step(step).await {
                Ok(()) => self.compare(&before).await,
                differs => differs,
            };
            played.map_err(|differs| format!("step {number}, {step:?}: {differs}"))?;
        }
        self.compare_all().await
    }

    pub(super) fn slack(&self) -> Slack {
        Slack(self.store.now().duration_since(self.model.now))
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Register {
                slot,
                application,
                version,
                lease,
            } => self.register(*slot, *application, *version, *lease).await,
            Step::RegisterAgain(slot) => match self.slots[usize::from(*slot)].clone() {
                Some(new) => self.register_it(new).await,
                None => Ok(()),
            },
            Step::Commit { by, changes } => {
                let batch = self.resolve(*by, changes);
                self.last = Some(batch.clone());
                self.commit(&batch).await
            }
            Step::Repeat => match self.last.clone() {
                Some(batch) => self.commit(&batch).await,
                None => Ok(()),
            },
            Step::Claim {
                slot,
                names,
                limit,
                recoveries_max,
            } => self.claim(*slot, *names, *limit, *recoveries_max).await,
            Step::Advance(by) => {
                let by = half_minutes(*by);
                self.backend.advance(by).await;
                self.model.now += by;
                Ok(())
            }
            Step::TakeOver { slot, most } => self.take_over(*slot, *most).await,
            Step::Renew(slot) => self.renew(*slot).await,
            Step::Retire(slot) => self.retire(*slot).await,
            Step::Interrupts(slot) => self.interrupts(*slot).await,
        }
    }

    /// The executor in a slot: nobody that the store knows, while the slot is empty.
    fn executor(&self, slot: u8) -> (ExecutorId, String) {
        match &self.slots[usize::from(slot)] {
            Some(new) => (new.id.clone(), new.version.clone()),
            None => (ExecutorId::from_stored("nobody".to_owned()), version(0)),
        }
    }

    async fn register(&mut self, slot: u8, app: u8, code: u8, lease: u8) -> Result<(), String> {
        self.registered += 1;
        let new = NewExecutor {
            id: ExecutorId::from_stored(format!("e{slot}-{:03}", self.registered)),
            application: ["shop", "bank"][usize::from(app) % 2].to_owned(),
            version: version(code),
            host: "host-1".to_owned(),
            pid: 7,
            lease: half_minutes(lease),
            declares: Vec::new(),
            names: Vec::new(),
        };
        self.slots[usize::from(slot)] = Some(new.clone());
        self.register_it(new).await
    }

    async fn register_it(&mut self, new: NewExecutor) -> Result<(), String> {
        let expected = self.model.register(&new);
        let actual = fenced(self.store.register(new).await)?;
        same("a registration", &actual, &expected)
    }

    fn resolve(&self, by: Option<u8>, changes: &[Draft]) -> Batch {
        let executor = by.map(|slot| self.executor(slot));
        let resolve = Resolve {
            model: &self.model,
            by: executor.as_ref().map(|(id, code)| (id, code.as_str())),
        };
        let changes = changes.iter().map(|draft| resolve.change(draft)).collect();
        Batch {
            executor: executor.map(|(id, _)| id),
            changes,
        }
    }

    async fn commit(&mut self, batch: &Batch) -> Result<(), String> {
        let actual = fenced(self.store.commit(self.keys.batch(batch)).await)?;
        let expected = self.model.commit(batch);
        self.learn_keys().await?;
        let (Ok(actual), Ok(expected)) = (&actual, &expected) else {
            return same("the fence", &actual.is_ok(), &expected.is_ok());
        };
        same(
            "the number of answers",
            &actual.applied.len(),
            &expected.len(),
        )?;
        for ((actual, expected), change) in actual.applied.iter().zip(expected).zip(&batch.changes)
        {
            let mut actual = self.keys.applied(actual);
            outcomes::align(&mut actual, expected, &self.model);
            let (actual, expected) = (format!("{actual:?}"), format!("{expected:?}"));
            same(&format!("the outcome of {change:?}"), &actual, &expected)?;
        }
        Ok(())
    }

    /// Reads the keys of what the model has made since.
    async fn learn_keys(&mut self) -> Result<(), String> {
        let mut keys = Vec::new();
        for row in &self.model.workflows[self.keys.len()..] {
            let found = read(self.store.find(&row.workflow.id)).await?;
            let found = found.ok_or(format!("the store has no {}", row.workflow.id))?;
            keys.push(found.key);
        }
        self.keys.learn(&keys)
    }

    async fn claim(&mut self, slot: u8, names: u8, limit: u8, most: u8) -> Result<(), String> {
        let (executor, version) = self.executor(slot);
        let known = NAMES.iter().zip([1, 2]).filter(|(_, bit)| names & bit > 0);
        let claim = Claim {
            executor,
            names: known.map(|(name, _)| (*name).to_owned()).collect(),
            version,
            limit: u32::from(limit),
            rules: RecoveryRules {
                recoveries_max: u32::from(most),
            },
        };
        let actual = fenced(self.store.claim(claim.clone()).await)?;
        if !self.model.is_live(&claim.executor) {
            return same("the fence", &actual.is_err(), &true);
        }
        let actual = actual.map_err(|Fenced| "a live executor was fenced")?;
        let actual = actual.into_iter().map(|claimed| self.keys.claimed(claimed));
        let actual: Vec<_> = actual.collect();
        let taken: Vec<WorkflowKey> = actual.iter().map(|claimed| claimed.key).collect();
        let seen = self.seen().await?;
        let expected = self.model.claim(&claim, &taken, &seen)?;
        self.slack().all("a claim", actual, &expected)
    }

    /// The workflows as the store has them now, under the model's keys.
    async fn seen(&self) -> Result<Seen, String> {
        let mut seen = Seen::new();
        for row in &self.model.workflows {
            if let Some(found) = read(self.store.find(&row.workflow.id)).await? {
                seen.insert(row.workflow.key, found);
            }
        }
        Ok(seen)
    }

    async fn take_over(&mut self, slot: u8, most: u8) -> Result<(), String> {
        let (executor, _) = self.executor(slot);
        // A store may remember for a moment that nobody's lease ends soon; a clock that was moved,
        // by however little, makes it look.
        self.backend.advance(Duration::ZERO).await;
        let look = TakeOver {
            executor: executor.clone(),
            workflows_max: u32::from(most),
            at: Timestamp::MAX,
            answered_for: Duration::MAX,
        };
        let actual = self.store.take_over(look).await;
        let actual = fenced(actual)?;
        if !self.model.is_live(&executor) {
            return same("the fence", &actual.is_err(), &true);
        }
        let actual = actual.map_err(|Fenced| "a live executor was fenced")?;
        let seen = self.seen().await?;
        let expected = self.model.take_over(&executor, u32::from(most), &seen);
        let sorted = |mut taken: TakenOver| {
            taken.executors.sort_by(|a, b| a.as_str().cmp(b.as_str()));
            taken
        };
        same("a take-over", &sorted(actual), &sorted(expected))
    }

    async fn renew(&mut self, slot: u8) -> Result<(), String> {
        let (executor, _) = self.executor(slot);
        let actual = read(self.store.renew(Renewal::of(executor.clone()))).await?;
        same("a renewal", &actual, &self.model.renew(&executor))
    }

    async fn retire(&mut self, slot: u8) -> Result<(), String> {
        let (executor, _) = self.executor(slot);
        read(self.store.retire(&executor)).await?;
        self.model.retire(&executor);
        Ok(())
    }

    /// Nobody asks for the interrupts of an executor that has ended.
    async fn interrupts(&mut self, slot: u8) -> Result<(), String> {
        let (executor, _) = self.executor(slot);
        if !self.model.is_live(&executor) {
            return Ok(());
        }
        let actual = read(self.store.take_interrupts(&executor)).await?;
        let mut actual: Vec<_> = actual.iter().map(|key| self.keys.inward(*key)).collect();
        actual.sort();
        same(
            "the interrupts",
            &actual,
            &self.model.take_interrupts(&executor),
        )
    }
}

/// Waits for a call that nothing may stop.
pub(super) async fn read<T>(call: BoxFuture<'_, Result<T, StoreError>>) -> Result<T, String> {
    call.await
        .map_err(|error| format!("the store failed: {error:?}"))
}

/// An answer, or that the fence stopped the call.
fn fenced<T>(answer: Result<T, StoreError>) -> Result<Result<T, Fenced>, String> {
    match answer {
        Ok(answer) => Ok(Ok(answer)),
        Err(error) if error.kind() == StoreErrorKind::Fenced => Ok(Err(Fenced)),
        Err(error) => Err(format!("the store failed: {error:?}")),
    }
}
