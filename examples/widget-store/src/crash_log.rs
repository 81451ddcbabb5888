//! What is known of each crash: when, how, what was running, and how long it took to go on.

use std::time::Duration;

use sqlx::SqlitePool;
use stepwell::{App, State, Timestamp, store::Filter};

use crate::{crash::Crash, shop::Shop, timeline::WorkflowView};

/// How long and how often we look for the moment at which the interrupted workflow goes on.
const LOOK_FOR: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The crash that this process was born from, if it was.
#[derive(Debug, Clone, Default)]
pub(crate) struct CrashLog {
    crash: Option<Recorded>,
}

#[derive(Debug, Clone)]
struct Recorded {
    crash_id: i64,
    at: Timestamp,
    /// The workflow that was under way.
    interrupted: Option<String>,
}

impl CrashLog {
    /// Writes the deaths since the last worker that served into the shop's database. To be called
    /// before the application is launched: it looks at what the crash has left.
    pub(crate) async fn open(app: &App<Shop>, crashes: &[Crash]) -> stepwell::Result<Self> {
        let db = &app.state().db;
        let mut log = Self::default();
        for crash in crashes {
            let crash_id = sqlx::query_scalar(
                "insert into crashes (at, mode, pid)
                 values (?, ?, ?)
                 on conflict do update set mode = excluded.mode
                 returning crash_id",
            )
            .bind(crash.at.to_string())
            .bind(crash.mode.as_str())
            .bind(crash.pid)
            .fetch_one(db)
            .await?;
            let at = crash.at;
            let interrupted = None;
            log.crash = Some(Recorded {
                crash_id,
                at,
                interrupted,
            });
        }
        if let Some(crash) = &mut log.crash {
            crash.interrupted = note_interrupted(app, crash.crash_id).await?;
        }
        Ok(log)
    }

    /// The row of the crash.
    pub(crate) fn crash_id(&self) -> Option<i64> {
        self.crash.as_ref().map(|crash| crash.crash_id)
    }

    /// Notes that the new process serves.
    pub(crate) async fn restarted(&self, db: &SqlitePool) -> stepwell::Result<()> {
        if let Some(crash) = &self.crash {
            sqlx::query("update crashes set restarted_ms = ?2 where crash_id = ?1")
                .bind(crash.crash_id)
                .bind(ms_between(crash.at, Timestamp::now()))
                .execute(db)
                .await?;
        }
        Ok(())
    }

    /// Waits until the interrupted workflow goes on, and notes when.
    pub(crate) async fn watch_recovery(self, app: App<Shop>) {
        if let Some(crash) = self.crash
            && let Some(workflow) = &crash.interrupted
            && let Ok(Some(at)) = went_on(&app, workflow, crash.at).await
        {
            let noted = sqlx::query("update crashes set resumed_ms = ?2 where crash_id = ?1")
                .bind(crash.crash_id)
                .bind(ms_between(crash.at, at))
                .execute(&app.state().db)
                .await;
            if let Err(error) = noted {
                tracing::warn!(%error, "could not note the recovery");
            }
        }
    }
}

/// The newest workflow that was under way; the row of the crash keeps its name and where it was.
async fn note_interrupted(app: &App<Shop>, crash_id: i64) -> stepwell::Result<Option<String>> {
    let under_way = Filter {
        states: vec![State::Running, State::Enqueued],
        limit: 1,
        ..Filter::default()
    };
    let Some(workflow) = app.client().list(under_way).await?.into_iter().next() else {
        return Ok(None);
    };
    let view = WorkflowView::of(app.client(), workflow, &[]).await?;
    sqlx::query("update crashes set workflow = ?2, phase = ?3 where crash_id = ?1")
        .bind(crash_id)
        .bind(&view.name)
        .bind(view.phase())
        .execute(&app.state().db)
        .await?;
    Ok(Some(view.id))
}

async fn went_on(
    app: &App<Shop>,
    workflow: &str,
    crashed_at: Timestamp,
) -> Result<Option<Timestamp>, stepwell::Error> {
    let end = tokio::time::Instant::now() + LOOK_FOR;
    while tokio::time::Instant::now() < end {
        let takeovers = app.client().takeovers(workflow).await?;
        if let Some(last) = takeovers.last().filter(|last| last.at > crashed_at) {
            return Ok(Some(last.at));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(None)
}

fn ms_between(from: Timestamp, to: Timestamp) -> i64 {
    i64::try_from(to.duration_since(from).as_millis().max(0)).unwrap_or(i64::MAX)
}
