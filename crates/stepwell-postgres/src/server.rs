//! What all connections of one store share.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use stepwell_core::{ExecutorId, store::Turns};
use tracing::info;

use crate::{
    clock::ServerClock,
    tls::Tls,
    url::{Address, Pooled},
};

/// A server as one store sees it.
pub(crate) struct Server {
    pub(crate) address: Address,
    pub(crate) tls: Tls,
    pub(crate) clock: ServerClock,
    pub(crate) losses: Losses,
    /// Whose turn it is in queues with keys.
    pub(crate) turns: Turns,
    /// Set for good when something before the server hands out connections by the transaction.
    unnamed: AtomicBool,
    /// Set for good when a pooler refused settings at the start of a connection.
    without_options: AtomicBool,
    texts: RwLock<HashMap<&'static str, Arc<str>>>,
}

impl Server {
    pub(crate) fn new(address: Address, tls: Tls) -> Self {
        let is_pooled = address.pooled == Pooled::Yes;
        Self {
            address,
            tls,
            clock: ServerClock::default(),
            losses: Losses::default(),
            turns: Turns::default(),
            unnamed: AtomicBool::new(is_pooled),
            without_options: AtomicBool::new(is_pooled),
            texts: RwLock::default(),
        }
    }

    /// A statement with the schema's name in it: no statement relies on `search_path`. Built once.
    pub(crate) fn text(&self, sql: &'static str) -> Arc<str> {
        let texts = self.texts.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = texts.get(sql) {
            return Arc::clone(text);
        }
        drop(texts);
        let text: Arc<str> = self.in_schema(sql).into();
        let mut texts = self.texts.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(texts.entry(sql).or_insert(text))
    }

    /// Puts the schema's name into a text. It is a plain identifier, in quotes so that its case
    /// stays.
    pub(crate) fn in_schema(&self, sql: &str) -> String {
        sql.replace("{schema}", &format!("\"{}\"", self.address.schema))
    }

    /// Whether statements must do without a name, because the next one may run on another
    /// connection.
    pub(crate) fn is_unnamed(&self) -> bool {
        self.unnamed.load(Ordering::Relaxed)
    }

    /// Goes on without named statements. There is no way back: the pooler does not go away.
    pub(crate) fn go_unnamed(&self) {
        if !self.unnamed.swap(true, Ordering::Relaxed) {
            info!(
                database = self.address.describe(),
                "a pooler stands before the database: going on without named statements"
            );
        }
    }

    /// Whether settings cannot be given at the start of a connection.
    pub(crate) fn is_without_options(&self) -> bool {
        self.without_options.load(Ordering::Relaxed)
    }

    pub(crate) fn go_without_options(&self) {
        self.without_options.store(true, Ordering::Relaxed);
    }
}

/// How often workflows were taken away from each executor of this process while it lived, as far
/// as this process knows. What it is for stands in `change.rs`.
#[derive(Debug, Default)]
pub(crate) struct Losses(Mutex<HashMap<ExecutorId, i64>>);

impl Losses {
    /// The number that was read last; none if none was.
    pub(crate) fn known(&self, executor: &ExecutorId) -> Option<i64> {
        self.lock().get(executor).copied()
    }

    pub(crate) fn learn(&self, executor: &ExecutorId, losses: i64) {
        self.lock().insert(executor.clone(), losses);
    }

    /// The executor has ended: it commits nothing any more.
    pub(crate) fn forget(&self, executor: &ExecutorId) {
        self.lock().remove(executor);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ExecutorId, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
