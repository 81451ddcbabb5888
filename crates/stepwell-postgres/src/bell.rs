//! Telling others that there is something new, and hearing it from them.
//!
//! A batch that others may care about is followed by a *ring*: a notification, and one more on a
//! counter. It is a transaction of its own right behind the batch's, on the same connection and
//! without waiting in between: a transaction that notifies holds a lock of the whole server while
//! it is written to disk, so no batch does. Rings that would follow each other closely are one.
//!
//! Whoever listens hears the notification. Behind a pooler that hands out connections by the
//! transaction nobody can listen; there the counter is compared. If a process dies between its
//! batch and the ring, others see the batch when they look anyway: everybody does every few
//! seconds.

mod listen;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use stepwell_core::store::{Change, Effect, Launch};
use tokio::{sync::Notify, task::JoinHandle};

use crate::{
    connection::Connection,
    error::{Failure, corrupt},
    params::params,
    pool::Pool,
    rows::get,
    server::Server,
};

pub(crate) use listen::{Line, try_line};

/// The pause between two rings.
const RING_PAUSE: Duration = Duration::from_millis(10);

/// How long it may go unnoticed that a ring was lost.
const LOOK_ANYWAY: Duration = Duration::from_secs(5);

/// The counter is read no more often than this; otherwise an idle process would be asking ten times
/// a second.
const COMPARE_PAUSE: Duration = Duration::from_millis(900);

/// Counts and notifies. What it tells is on disk already, so its own commit need not wait for the
/// disk.
const RING: &str = "
    select nextval('{schema}.changes'), pg_notify($1, $2),
        set_config('synchronous_commit', 'off', true)";

/// The count, and whether a client could have it otherwise: `last_value` needs no write.
const COUNT: &str = "select last_value from {schema}.changes";

/// A bell that all processes on one schema hear.
pub(crate) struct Bell {
    ringer: Arc<Ringer>,
    tasks: Vec<JoinHandle<()>>,
}

/// What the bell and its tasks share.
pub(crate) struct Ringer {
    /// Who rings. Each store ignores its own.
    me: String,
    /// The notifications' name: the schema's.
    channel: String,
    /// Whether somebody else has rung since the last look.
    heard: AtomicBool,
    /// Whether notifications arrive now.
    listening: AtomicBool,
    /// How often this store has rung.
    rung: AtomicI64,
    looks: Mutex<Looks>,
    /// A ring that waits for the pause to end.
    due: Notify,
}

/// When something was done last.
struct Looks {
    rang: Option<Instant>,
    compared: Option<Instant>,
    looked: Instant,
    /// The rings of others, as they were counted last.
    others: Option<i64>,
}

/// A ring that a batch is to be followed by.
pub(crate) struct Ring(Arc<Ringer>);

impl Bell {
    /// A bell whose notifications, if there are any, are heard in a task: from now on, so that
    /// nothing is missed.
    pub(crate) fn new(server: &Arc<Server>, sides: &Arc<Pool>, line: Option<Line>) -> Self {
        let ringer = Arc::new(Ringer {
            me: uuid::Uuid::new_v4().to_string(),
            channel: server.address.schema.clone(),
            heard: AtomicBool::new(false),
            listening: AtomicBool::new(line.is_some()),
            rung: AtomicI64::new(0),
            looks: Mutex::new(Looks {
                rang: None,
                compared: None,
                looked: Instant::now(),
                others: None,
            }),
            due: Notify::new(),
        });
        let mut tasks = vec![tokio::spawn(ring_late(
            Arc::clone(&ringer),
            Arc::clone(sides),
        ))];
        if let Some(line) = line {
            let listening = listen::keep_listening(line, Arc::clone(&ringer), Arc::clone(server));
            tasks.push(tokio::spawn(listening));
        }
        Self { ringer, tasks }
    }

    /// The ring that changes are to be followed by, if others may care.
    pub(crate) fn wanted(&self, changes: &[Change]) -> Option<Ring> {
        let wanted = changes.iter().any(others_care);
        wanted.then(|| Ring(Arc::clone(&self.ringer)))
    }

    /// A ring for what is no change: work that was handed back.
    pub(crate) fn ring(&self) -> Ring {
        Ring(Arc::clone(&self.ringer))
    }

    /// Whether somebody has rung since the last call; none if that cannot be heard now.
    pub(crate) fn heard(&self) -> Option<bool> {
        if !self.ringer.listening.load(Ordering::Acquire) {
            return self.is_too_early().then_some(false);
        }
        let mut looks = self.ringer.looks();
        let heard = self.ringer.heard.swap(false, Ordering::AcqRel);
        let heard = heard || looks.looked.elapsed() > LOOK_ANYWAY;
        if heard {
            looks.looked = Instant::now();
        }
        Some(heard)
    }

    fn is_too_early(&self) -> bool {
        let mut looks = self.ringer.looks();
        let is_early = looks
            .compared
            .is_some_and(|at| at.elapsed() < COMPARE_PAUSE);
        if !is_early {
            looks.compared = Some(Instant::now());
        }
        is_early
    }

    /// Whether the count of all rings shows one of somebody else since the last call.
    pub(crate) fn compare(&self, all: i64) -> bool {
        let others = all - self.ringer.rung.load(Ordering::Acquire);
        let before = self.ringer.looks().others.replace(others);
        before != Some(others)
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bell")
            .field("listening", &self.ringer.listening)
            .finish_non_exhaustive()
    }
}

impl Ringer {
    fn looks(&self) -> MutexGuard<'_, Looks> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it may ring now; otherwise the task does when the pause is over.
    fn may_ring(&self) -> bool {
        let mut looks = self.looks();
        let may = looks.rang.is_none_or(|at| at.elapsed() >= RING_PAUSE);
        if may {
            looks.rang = Some(Instant::now());
        } else {
            self.due.notify_one();
        }
        may
    }

    async fn ring(&self, db: &Connection) -> Result<(), Failure> {
        db.query(RING, params![self.channel, self.me]).await?;
        self.rung.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }
}

impl Ring {
    /// Rings after `work`, whose statement was sent just before on the same connection. What
    /// becomes of the ring is nobody's trouble: others look anyway.
    pub(crate) async fn after<T>(
        ring: Option<&Self>,
        db: &Connection,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let Some(Self(ringer)) = ring else {
            return work.await;
        };
        // Prepared before, or the work's statement would be overtaken.
        prepare(db, ringer).await?;
        if !ringer.may_ring() {
            return work.await;
        }
        let (done, _) = futures_util::join!(work, ringer.ring(db));
        done
    }
}

async fn prepare(db: &Connection, ringer: &Ringer) -> Result<(), Failure> {
    if !db.server.is_unnamed() {
        db.prepared(RING, params![ringer.channel, ringer.me])
            .await?;
    }
    Ok(())
}

/// Rings once for all who wanted to within a pause.
async fn ring_late(ringer: Arc<Ringer>, sides: Arc<Pool>) {
    loop {
        ringer.due.notified().await;
        tokio::time::sleep(RING_PAUSE).await;
        ringer.looks().rang = Some(Instant::now());
        let Ok(db) = sides.take().await else { continue };
        let _ = ringer.ring(&db).await;
        db.give_back().await;
    }
}

/// Counts all rings.
pub(crate) async fn count(db: &Connection) -> Result<i64, Failure> {
    let row = db.query_opt(COUNT, params![]).await?;
    let row = row.ok_or_else(|| corrupt("count of changes", "nothing"))?;
    get(&row, 0)
}

/// Whether another process may wait for what a change brings about.
fn others_care(change: &Change) -> bool {
    match change {
        Change::Start(new) => new.launch != Launch::Here || new.delay.is_some(),
        Change::Progress(progress) => progress.effects.iter().any(|effect| match effect {
            Effect::SetEvent { .. }
            | Effect::Append { .. }
            | Effect::Send(_)
            | Effect::Start(_) => true,
            Effect::Receive { .. } | Effect::SetAttribute { .. } => false,
        }),
        Change::Finish(_)
        | Change::Send(_)
        | Change::Cancel(_)
        | Change::Resume(_)
        | Change::Fork(_)
        | Change::Queue(_)
        | Change::Schedule(_) => true,
    }
}
