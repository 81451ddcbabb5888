//! What is known of each crash: when, how, what was running, and how long it took to go on.

use std::time::Duration;

use stepwell::{
    AnyPool, App, ExecutorId, State, Timestamp,
    store::{Filter, Workflow},
};

use crate::{
    crash::Crash,
    shop::Shop,
    timeline::{Deaths, WorkflowView},
};

/// How long and how often we look for the moment at which the interrupted workflow goes on.
const LOOK_FOR: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Among how many workflows of other processes we look for one that was the dead one's.
const TAKEN_MAX: usize = 10;

/// The crash that this process was born from, if it was.
#[derive(Debug, Clone, Default)]
pub(crate) struct CrashLog {
    crash: Option<Recorded>,
}

#[derive(Debug, Clone)]
struct Recorded {
    crash_id: i64,
    at: Timestamp,
    /// Who has died since the last worker that served.
    dead: Vec<ExecutorId>,
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
                "insert into crashes (at, mode, pid, executor)
                 values ($1, $2, $3, $4)
                 on conflict (at, pid) do update set mode = excluded.mode
                 returning crash_id",
            )
            .bind(crash.at.to_string())
            .bind(crash.mode.as_str())
            .bind(i64::from(crash.pid))
            .bind(crash.executor.as_ref().map(|id| id.as_str().to_owned()))
            .fetch_one(db)
            .await?;
            log.crash = Some(Recorded {
                crash_id,
                at: crash.at,
                dead: Vec::new(),
                interrupted: None,
            });
        }
        if let Some(last) = &mut log.crash {
            let dead = crashes.iter().filter_map(|crash| crash.executor.clone());
            last.dead = dead.collect();
            last.interrupted = note_interrupted(app, last).await?;
        }
        Ok(log)
    }

    /// The row of the crash.
    pub(crate) fn crash_id(&self) -> Option<i64> {
        self.crash.as_ref().map(|crash| crash.crash_id)
    }

    /// Notes that the new process serves.
    pub(crate) async fn restarted(&self, db: &AnyPool) -> stepwell::Result<()> {
        if let Some(crash) = &self.crash {
            sqlx::query("update crashes set restarted_ms = $2 where crash_id = $1")
                .bind(crash.crash_id)
                .bind(ms_between(crash.at, Timestamp::now()))
                .execute(db)
                .await?;
        }
        Ok(())
    }

    /// Waits until the interrupted workflow goes on, and notes when.
    pub(crate) async fn watch_recovery(self, app: App<Shop>) {
        if let Some(crash) = &self.crash
            && let Some(workflow) = &crash.interrupted
            && let Ok(Some(at)) = went_on(&app, workflow, crash).await
        {
            let noted = sqlx::query("update crashes set resumed_ms = $2 where crash_id = $1")
                .bind(crash.crash_id)
                .bind(ms_between(crash.at, at))
                .execute(&app.state().db)
                .await;
            if let Err(error) = noted {
                tracing::warn!(error = error.to_string(), "could not note the recovery");
            }
        }
    }
}

/// The newest workflow that the dead had; the row of the crash keeps its name and where it was.
async fn note_interrupted(app: &App<Shop>, crash: &Recorded) -> stepwell::Result<Option<String>> {
    let under_way = Filter {
        states: vec![State::Running, State::Enqueued],
        ..Filter::default()
    };
    let under_way = app.client().list(under_way).await?;
    let Some(workflow) = lost(app, under_way, &crash.dead).await? else {
        return Ok(None);
    };
    let view = WorkflowView::of(app.client(), workflow, &Deaths::default()).await?;
    sqlx::query("update crashes set workflow = $2, phase = $3 where crash_id = $1")
        .bind(crash.crash_id)
        .bind(&view.name)
        .bind(view.phase())
        .execute(&app.state().db)
        .await?;
    Ok(Some(view.id))
}

/// The first of these workflows that the dead had.
async fn lost(
    app: &App<Shop>,
    workflows: Vec<Workflow>,
    dead: &[ExecutorId],
) -> Result<Option<Workflow>, stepwell::Error> {
    let is_dead = |id: &ExecutorId| dead.contains(id);
    let still_theirs = |workflow: &&Workflow| workflow.executor.as_ref().is_some_and(is_dead);
    if let Some(found) = workflows.iter().find(still_theirs) {
        return Ok(Some(found.clone()));
    }
    // Another process may have been quicker to go on with one.
    for workflow in workflows.into_iter().take(TAKEN_MAX) {
        let takeovers = app.client().takeovers(workflow.id.as_str()).await?;
        if takeovers.last().is_some_and(|last| is_dead(&last.from)) {
            return Ok(Some(workflow));
        }
    }
    Ok(None)
}

/// When somebody, perhaps another process, went on with a workflow of the dead.
async fn went_on(
    app: &App<Shop>,
    workflow: &str,
    crash: &Recorded,
) -> Result<Option<Timestamp>, stepwell::Error> {
    let end = tokio::time::Instant::now() + LOOK_FOR;
    while tokio::time::Instant::now() < end {
        let takeovers = app.client().takeovers(workflow).await?;
        let mut takeovers = takeovers.iter();
        if let Some(taken) = takeovers.rfind(|taken| crash.dead.contains(&taken.from)) {
            return Ok(Some(taken.at));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(None)
}

fn ms_between(from: Timestamp, to: Timestamp) -> i64 {
    i64::try_from(to.duration_since(from).as_millis().max(0)).unwrap_or(i64::MAX)
}
