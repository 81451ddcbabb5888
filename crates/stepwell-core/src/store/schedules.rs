//! Schedules: what starts workflows by itself.

use jiff::Timestamp;
use serde::Serialize;

use super::{Launch, NewWorkflow, QueueUse, StoreFuture};
use crate::{id::WorkflowId, limits::InvalidInput, payload::Payload, schedule::Missed};

/// Reads schedules. Their writes are [`Change::Schedule`](super::Change::Schedule).
pub trait ScheduleStore {
    /// Every schedule, by name.
    fn schedules(&self) -> StoreFuture<'_, Vec<ScheduleInfo>>;
}

/// A schedule to be made known.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSchedule {
    /// Its name; that of its workflow, if the code declares it.
    pub name: String,
    /// The workflow that it starts.
    pub workflow: String,
    /// A cron expression, or `@every <duration>`.
    pub spec: String,
    /// The time zone of the expression; UTC without one.
    pub timezone: Option<String>,
    /// What happens to ticks that passed while no executor was there.
    pub missed: Missed,
    /// What the workflow is given after the tick: a JSON array.
    pub arguments: Payload,
    /// The queue that its workflows go through.
    pub queue: Option<QueueUse>,
    /// Who says so.
    pub declared_by: DeclaredBy,
    /// Its first tick from now on.
    pub next_at: Option<Timestamp>,
}

/// Who says that there is a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclaredBy {
    /// The attribute of a workflow.
    Code,
    /// A caller of the client.
    Client,
}

impl DeclaredBy {
    /// Its word in databases and listings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Client => "client",
        }
    }

    /// The one with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Code, Self::Client]
            .into_iter()
            .find(|by| by.as_str() == word)
    }
}

/// A schedule, as it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScheduleInfo {
    /// Its name.
    pub name: String,
    /// The workflow that it starts.
    pub workflow: String,
    /// A cron expression, or `@every <duration>`.
    pub spec: String,
    /// The time zone of the expression.
    pub timezone: Option<String>,
    /// What happens to ticks that passed while no executor was there.
    pub missed: Missed,
    /// What the workflow is given after the tick: a JSON array.
    pub arguments: Payload,
    /// The queue that its workflows go through.
    pub queue: Option<String>,
    /// Who says so.
    pub declared_by: DeclaredBy,
    /// The next tick; none if there will be none.
    pub next_at: Option<Timestamp>,
    /// The last tick that started a workflow.
    pub last_at: Option<Timestamp>,
    /// Since when it is paused, by whom and why.
    pub paused: Option<Paused>,
}

impl ScheduleInfo {
    /// The start of a tick: its id is `<schedule>@<instant>`.
    pub(crate) fn start_at(&self, tick: Timestamp) -> Result<NewWorkflow, InvalidInput> {
        let mut input = vec![serde_json::json!(tick)];
        let given: Vec<serde_json::Value> = self.arguments.read().map_err(|error| {
            InvalidInput::new(format!(
                "the arguments of the schedule `{}` are no JSON array: {error}",
                self.name
            ))
        })?;
        input.extend(given);
        let queue = self.queue.as_ref().map(QueueUse::new);
        let id = WorkflowId::new(format!("{}@{tick}", self.name))?;
        let input = Payload::of(&input, usize::MAX)?;
        Ok(NewWorkflow {
            launch: queue.map_or(Launch::Anywhere, Launch::Queue),
            origin: Some(format!("schedule {}", self.name)),
            ..NewWorkflow::new(id, &self.workflow, input)
        })
    }
}

/// Since when something is paused, by whom and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Paused {
    /// Since when.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// Why; may be empty.
    pub why: String,
}

/// A transition of a schedule.
#[derive(Debug, Clone)]
pub enum ScheduleChange {
    /// Makes it known, or changes what it is; it stays paused if it is. Told again as it is, it keeps
    /// its next tick, so that a restart misses none. A client cannot change one of the code.
    Define(NewSchedule),
    /// Forgets it. Workflows that it has started go on.
    Remove {
        /// Its name.
        name: String,
    },
    /// Lets it tick no more. One that is paused stays as it was paused first.
    Pause {
        /// Its name.
        name: String,
        /// Who wants it.
        by: String,
        /// Why; may be empty.
        why: String,
    },
    /// Lets it tick again. One that is not paused keeps its next tick.
    Resume {
        /// Its name.
        name: String,
        /// Its first tick from now on: those of the pause are gone.
        next_at: Option<Timestamp>,
    },
    /// Starts the workflows of ticks and moves on.
    Tick(Tick),
}

impl ScheduleChange {
    /// The schedule that it is about.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Define(new) => &new.name,
            Self::Tick(tick) => &tick.name,
            Self::Remove { name } | Self::Pause { name, .. } | Self::Resume { name, .. } => name,
        }
    }
}

/// Ticks of a schedule.
#[derive(Debug, Clone)]
pub struct Tick {
    /// The schedule.
    pub name: String,
    /// Its next tick, as it was read. If it is another one by now, somebody else was first.
    pub at: Timestamp,
    /// The workflows to start; one whose id is taken was started before.
    pub starts: Vec<NewWorkflow>,
    /// The last tick that starts a workflow, if one does.
    pub last_at: Option<Timestamp>,
    /// The next tick after this.
    pub next_at: Option<Timestamp>,
}

/// What a transition of a schedule came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheduled {
    /// It is so now.
    Done,
    /// It was so before; nothing was written.
    Already,
    /// Another executor was first, or it is paused; nothing was written.
    TooLate,
    /// It is declared by the code, which alone changes it; nothing was written.
    OfCode,
    /// There is no such schedule.
    NoSuchSchedule,
}
