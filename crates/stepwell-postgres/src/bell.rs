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
mod news;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use stepwell_core::store::News;
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
pub(crate) use news::Tidings;

/// The pause between two rings.
const RING_PAUSE: Duration = Duration::from_millis(5);

/// How long a late ring may take, and the pause before one that failed is tried again.
const RING_WITHIN: Duration = Duration::from_secs(10);
const RING_AGAIN: Duration = Duration::from_secs(1);

/// How long it may go unnoticed that a ring was lost, because its process died between a batch and
/// the ring right behind it. Then everybody who waits looks, so it is not done often.
const LOOK_ANYWAY: Duration = Duration::from_secs(60);

/// The counter is read no more often than this; otherwise an idle process would be asking ten times
/// a second.
const COMPARE_PAUSE: Duration = Duration::from_millis(900);

/// Counts and notifies. What it tells is on disk already, so its own commit need not wait for the
/// disk.
const RING: &str = "
    select nextval('{schema}.changes'), pg_notify($1, told.payload),
        set_config('synchronous_commit', 'off', true)
    from (
        select payload
        from unnest($2::text[]) as payload
        union all
        select $3 || string_agg(workflow_key::text, ',')
        from {schema}.workflows
        where workflow_id = any($4::text[])
        having count(*) > 0
    ) as told";

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
    /// Whether notifications arrive now.
    listening: AtomicBool,
    /// How often this store has rung.
    rung: AtomicI64,
    looks: Mutex<Looks>,
    /// A ring that waits for the pause to end.
    due: Notify,
    /// Something was heard.
    told: Notify,
}

/// When something was done last.
struct Looks {
    rang: Option<Instant>,
    compared: Option<Instant>,
    looked: Instant,
    /// What others have told since the last look.
    heard: News,
    /// What is to be told with the next ring.
    untold: Tidings,
    /// The rings of others, as they were counted last.
    others: Option<i64>,
}

/// A ring that a batch is to be followed by.
pub(crate) struct Ring {
    ringer: Arc<Ringer>,
    tidings: Tidings,
}

impl Bell {
    /// A bell whose notifications, if there are any, are heard in a task: from now on, so that
    /// nothing is missed.
    pub(crate) fn new(server: &Arc<Server>, sides: &Arc<Pool>, line: Option<Line>) -> Self {
        let ringer = Arc::new(Ringer {
            me: uuid::Uuid::new_v4().to_string(),
            channel: server.address.schema.clone(),
            listening: AtomicBool::new(line.is_some()),
            rung: AtomicI64::new(0),
            looks: Mutex::new(Looks {
                rang: None,
                compared: None,
                looked: Instant::now(),
                heard: News::default(),
                untold: Tidings::default(),
                others: None,
            }),
            due: Notify::new(),
            told: Notify::new(),
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
    pub(crate) fn wanted(&self, tidings: Tidings) -> Option<Ring> {
        (!tidings.is_nothing()).then(|| self.ring(tidings))
    }

    /// A ring that tells something.
    pub(crate) fn ring(&self, tidings: impl Into<Tidings>) -> Ring {
        Ring {
            ringer: Arc::clone(&self.ringer),
            tidings: tidings.into(),
        }
    }

    /// Returns when others have told something since the last return.
    pub(crate) async fn told(&self) {
        self.ringer.told.notified().await;
    }

    /// What others have told since the last call; none if that cannot be heard now.
    pub(crate) fn heard(&self) -> Option<News> {
        if !self.ringer.listening.load(Ordering::Acquire) {
            return self.is_too_early().then(News::default);
        }
        let mut looks = self.ringer.looks();
        let mut heard = std::mem::take(&mut looks.heard);
        if looks.looked.elapsed() > LOOK_ANYWAY {
            heard = News::of_anything();
        }
        if heard == News::of_anything() {
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

    /// What the count of all rings says, if it shows one of somebody else since the last call: not
    /// what was told.
    pub(crate) fn compare(&self, all: i64) -> News {
        let others = all - self.ringer.rung.load(Ordering::Acquire);
        let before = self.ringer.looks().others.replace(others);
        match before == Some(others) {
            true => News::default(),
            false => News::of_anything(),
        }
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

    /// Whether it may ring now, after the last ring.
    fn may_ring(&self) -> bool {
        let mut looks = self.looks();
        let may = looks.rang.is_none_or(|at| at.elapsed() >= RING_PAUSE);
        if may {
            looks.rang = Some(Instant::now());
        }
        may
    }

    /// How long the pause after the last ring still is.
    fn pause_left(&self) -> Duration {
        let rang = self.looks().rang;
        rang.map_or(Duration::ZERO, |at| RING_PAUSE.saturating_sub(at.elapsed()))
    }

    /// Leaves something to be told when the pause is over.
    fn tell_later(&self, tidings: Tidings) {
        self.looks().untold.add(tidings);
        self.due.notify_one();
    }

    /// Tells it. What could not be told is told later.
    async fn tell(&self, db: &Connection, mut tidings: Tidings) {
        if self.try_tell(db, &mut tidings).await.is_err() {
            self.tell_later(tidings);
        }
    }

    async fn try_tell(&self, db: &Connection, tidings: &mut Tidings) -> Result<(), Failure> {
        let (payloads, who) = tidings.payloads(&self.me);
        if payloads.is_empty() && tidings.ids.is_empty() {
            return Ok(());
        }
        let told = db
            .query(RING, params![self.channel, payloads, who, tidings.ids])
            .await?;
        let told = i64::try_from(told.len()).unwrap_or(i64::MAX);
        self.rung.fetch_add(told, Ordering::AcqRel);
        Ok(())
    }

    /// Notes what others have told.
    fn hear(&self, news: News) {
        self.looks().heard.add(news);
        self.told.notify_one();
    }
}

impl Ring {
    /// The same, and that something can be claimed.
    pub(crate) fn and_work(&self) -> Self {
        let mut tidings = self.tidings.clone();
        tidings.add(News::of_work().into());
        Self {
            ringer: Arc::clone(&self.ringer),
            tidings,
        }
    }

    /// Rings after `work`, whose statement was sent just before on the same connection. What
    /// becomes of the ring is nobody's trouble: others look anyway.
    pub(crate) async fn after<T>(
        ring: Option<&Self>,
        db: &Connection,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let Some(Self { ringer, tidings }) = ring else {
            return work.await;
        };
        // Prepared before, or the work's statement would be overtaken.
        prepare(db, ringer).await?;
        if !ringer.may_ring() {
            let done = work.await;
            // Also when nobody knows whether it was done. Not before: another ring would take it
            // along, and others would look too early.
            ringer.tell_later(tidings.clone());
            return done;
        }
        let mut tidings = tidings.clone();
        tidings.add(std::mem::take(&mut ringer.looks().untold));
        let (done, ()) = futures_util::join!(work, ringer.tell(db, tidings));
        done
    }
}

async fn prepare(db: &Connection, ringer: &Ringer) -> Result<(), Failure> {
    if !db.server.is_unnamed() {
        let (none, who) = (Vec::<String>::new(), "");
        db.prepared(RING, params![ringer.channel, none, who, none])
            .await?;
    }
    Ok(())
}

/// Rings once for all who wanted to within a pause.
async fn ring_late(ringer: Arc<Ringer>, sides: Arc<Pool>) {
    loop {
        ringer.due.notified().await;
        tokio::time::sleep(ringer.pause_left()).await;
        let untold = {
            let mut looks = ringer.looks();
            looks.rang = Some(Instant::now());
            std::mem::take(&mut looks.untold)
        };
        let mut told = untold.clone();
        // What takes bytes and never answers must not keep the connection for ever.
        let rung = tokio::time::timeout(RING_WITHIN, ring(&ringer, &sides, &mut told)).await;
        if !matches!(rung, Ok(Ok(()))) {
            tokio::time::sleep(RING_AGAIN).await;
            ringer.tell_later(untold);
        }
    }
}

async fn ring(ringer: &Ringer, sides: &Pool, untold: &mut Tidings) -> Result<(), Failure> {
    let db = sides.take().await?;
    ringer.try_tell(&db, untold).await?;
    db.give_back().await;
    Ok(())
}

/// Counts all rings.
pub(crate) async fn count(db: &Connection) -> Result<i64, Failure> {
    let row = db.query_opt(COUNT, params![]).await?;
    let row = row.ok_or_else(|| corrupt("count of changes", "nothing"))?;
    get(&row, 0)
}
