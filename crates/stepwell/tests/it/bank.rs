//! A small application that the tests share: a bank in memory, with a transaction driver of its own
//! (which shows that the `Tx` trait is open).

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use stepwell::{
    BoxFuture, Committed, Event, Operation, Payload, Queue, Topic, Tx, TxError, TxOptions, Witness,
    step, transaction,
};

#[derive(stepwell::State, Default)]
pub(crate) struct Bank {
    #[provide]
    pub(crate) accounts: Accounts,
    #[provide]
    pub(crate) calls: Calls,
}

/// How often the step `charge` has really run.
#[derive(Default)]
pub(crate) struct Calls(AtomicU32);

impl Calls {
    pub(crate) fn count(&self) -> u32 {
        self.0.load(SeqCst)
    }
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize, PartialEq, Clone)]
pub(crate) enum PayError {
    #[error("declined")]
    Declined,
    #[error("busy")]
    Busy,
}

pub(crate) const DONE: Event<u64> = Event::new("done");
pub(crate) const GO: Topic<u64> = Topic::new("go");
pub(crate) static WORK: Queue = Queue::new("work").concurrency(2);

#[step]
pub(crate) async fn charge(#[state] calls: &Calls, amount: u64) -> Result<u64, PayError> {
    calls.0.fetch_add(1, SeqCst);
    if amount > 100 {
        Err(PayError::Declined)
    } else {
        Ok(amount)
    }
}

#[transaction]
pub(crate) async fn credit(
    tx: &mut AccountsTx,
    account: &str,
    amount: u64,
) -> Result<u64, PayError> {
    let total = tx.rows.get(account).copied().unwrap_or(0) + amount;
    tx.rows.insert(account.to_owned(), total);
    Ok(total)
}

/// Looks, and changes nothing.
#[transaction(isolation = "repeatable_read", read_only)]
pub(crate) async fn balance(tx: &mut AccountsTx, account: &str) -> Result<u64, PayError> {
    Ok(tx.rows.get(account).copied().unwrap_or(0))
}

/// Accounts and, beside them, the witnesses of the transactions that changed them.
#[derive(Clone, Default)]
pub(crate) struct Accounts(Arc<Mutex<Database>>);

#[derive(Default)]
struct Database {
    rows: HashMap<String, u64>,
    witnesses: HashMap<String, Payload>,
    /// What was to be committed, with a witness.
    operations: Vec<Operation>,
    /// How many commits are to fail after they have happened.
    answers_to_lose: u32,
    /// How the transactions were begun.
    begun: Vec<TxOptions>,
    /// What becomes of the next commits.
    fates: VecDeque<Fate>,
    /// Commits that the database works on. Whoever comes with the same witness waits for them.
    on_their_way: HashMap<String, Arrived>,
    /// Rings when commits have happened.
    happened: Arc<Notify>,
}

/// What becomes of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It happens when the test says so, and is answered then.
    Slow,
    /// It happens when the test says so; its connection breaks at once.
    SlowAndUnanswered,
}

/// What a commit that is on its way will have done.
struct Arrived {
    rows: HashMap<String, u64>,
    before: HashMap<String, u64>,
    witness: Payload,
}

impl Accounts {
    pub(crate) fn balance(&self, account: &str) -> u64 {
        self.0
            .lock()
            .unwrap()
            .rows
            .get(account)
            .copied()
            .unwrap_or(0)
    }

    /// Changes a balance as somebody else would, in no workflow.
    pub(crate) fn set_by_hand(&self, account: &str, balance: u64) {
        let mut database = self.0.lock().unwrap();
        database.rows.insert(account.to_owned(), balance);
    }

    /// How many operations have left a witness.
    pub(crate) fn witnesses(&self) -> usize {
        self.0.lock().unwrap().witnesses.len()
    }

    /// How the transactions were begun: one for each run of a code.
    pub(crate) fn begun(&self) -> Vec<TxOptions> {
        self.0.lock().unwrap().begun.clone()
    }

    /// What becomes of the next commit that no fate is said of yet.
    pub(crate) fn next_commit_is(&self, fate: Fate) {
        self.0.lock().unwrap().fates.push_back(fate);
    }

    /// How many commits the database works on.
    pub(crate) fn on_their_way(&self) -> usize {
        self.0.lock().unwrap().on_their_way.len()
    }

    /// Waits until so many commits are on their way.
    pub(crate) async fn have_sent(&self, commits: usize) {
        while self.on_their_way() < commits {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Lets all commits happen that are on their way.
    pub(crate) fn let_commits_happen(&self) {
        let keys: Vec<String> = self
            .0
            .lock()
            .unwrap()
            .on_their_way
            .keys()
            .cloned()
            .collect();
        keys.iter().for_each(|key| self.let_happen(key));
    }

    fn let_happen(&self, key: &str) {
        let mut database = self.0.lock().unwrap();
        let Some(arrived) = database.on_their_way.remove(key) else {
            return;
        };
        for (account, total) in arrived.rows {
            if arrived.before.get(&account) != Some(&total) {
                database.rows.insert(account, total);
            }
        }
        database.witnesses.insert(key.to_owned(), arrived.witness);
        database.happened.notify_waiters();
    }

    /// Waits until no commit with this witness is on its way.
    async fn has_happened(&self, key: &str) {
        let happened = Arc::clone(&self.0.lock().unwrap().happened);
        loop {
            let next = happened.notified();
            if !self.0.lock().unwrap().on_their_way.contains_key(key) {
                return;
            }
            next.await;
        }
    }

    /// Commits what nobody waits for any more, as a process does that was stopped for long.
    pub(crate) async fn commit_late(&self, operation: Operation, account: &str) -> Committed {
        let (mut tx, home) = AccountsTx::begin(self, TxOptions::default()).await.unwrap();
        tx.rows.insert(account.to_owned(), 1_000);
        drop(tx);
        let output = Payload::null();
        let witness = Witness { operation, output };
        AccountsTx::commit(home, witness).await.unwrap()
    }

    /// What was to be committed, with a witness.
    pub(crate) fn operations(&self) -> Vec<Operation> {
        self.0.lock().unwrap().operations.clone()
    }

    /// The next commit happens, but its answer does not arrive.
    pub(crate) fn lose_the_next_answer(&self) {
        self.0.lock().unwrap().answers_to_lose = 1;
    }
}

pub(crate) struct AccountsTx {
    pub(crate) rows: HashMap<String, u64>,
    home: Home,
}

#[derive(Clone)]
pub(crate) struct Home {
    accounts: Accounts,
    before: HashMap<String, u64>,
    changed: Arc<Mutex<HashMap<String, u64>>>,
    options: TxOptions,
}

impl Drop for AccountsTx {
    fn drop(&mut self) {
        *self.home.changed.lock().unwrap() = std::mem::take(&mut self.rows);
    }
}

fn key(operation: &Operation) -> String {
    format!("{}:{}", operation.workflow, operation.position)
}

impl Tx for AccountsTx {
    type Source = Accounts;
    type Home = Home;

    fn begin(
        source: &Accounts,
        options: TxOptions,
    ) -> BoxFuture<'_, Result<(Self, Home), TxError>> {
        source.0.lock().unwrap().begun.push(options);
        let rows = source.0.lock().unwrap().rows.clone();
        let home = Home {
            accounts: source.clone(),
            before: rows.clone(),
            changed: Arc::default(),
            options,
        };
        Box::pin(async move {
            Ok((
                Self {
                    rows,
                    home: home.clone(),
                },
                home,
            ))
        })
    }

    fn witnessed<'a>(
        source: &'a Accounts,
        operation: &'a Operation,
    ) -> BoxFuture<'a, Result<Option<Payload>, TxError>> {
        let found = source
            .0
            .lock()
            .unwrap()
            .witnesses
            .get(&key(operation))
            .cloned();
        Box::pin(async move { Ok(found) })
    }

    fn commit(home: Home, witness: Witness) -> BoxFuture<'static, Result<Committed, TxError>> {
        Box::pin(async move {
            let key = key(&witness.operation);
            // As in the unique index of the witnesses.
            home.accounts.has_happened(&key).await;
            let fate = {
                let mut database = home.accounts.0.lock().unwrap();
                if let Some(before) = database.witnesses.get(&key) {
                    return Ok(Committed::Before(before.clone()));
                }
                database.operations.push(witness.operation);
                let rows = home.changed.lock().unwrap().clone();
                let arrived = Arrived {
                    rows,
                    before: home.before.clone(),
                    witness: witness.output,
                };
                database.on_their_way.insert(key.clone(), arrived);
                database.fates.pop_front()
            };
            match fate {
                None => home.accounts.let_happen(&key),
                Some(Fate::SlowAndUnanswered) => return Err(TxError::new("the connection broke")),
                Some(Fate::Slow) => home.accounts.has_happened(&key).await,
            }
            let mut database = home.accounts.0.lock().unwrap();
            if database.answers_to_lose > 0 {
                database.answers_to_lose -= 1;
                return Err(TxError::new("the connection was lost"));
            }
            Ok(Committed::Now)
        })
    }

    fn commit_plain(home: Home) -> BoxFuture<'static, Result<(), TxError>> {
        Box::pin(async move {
            if home.options.read_only {
                return Ok(());
            }
            let rows = home.changed.lock().unwrap().clone();
            home.accounts.0.lock().unwrap().rows = rows;
            Ok(())
        })
    }

    fn rollback(_home: Home) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }

    fn conflict(_home: &Home) -> bool {
        false
    }
}
