//! Schedules: what starts workflows by itself.

use jiff::Timestamp;
use serde::Serialize;

use super::{Launch, NewWorkflow, QueueUse, StoreFuture};
use crate::{
    id::{
        ExecutorId,
        made::{self, Maker},
    },
    limits::InvalidInput,
    payload::Payload,
    schedule::{Missed, Ticks},
};

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
    /// The executor whose code declares it; none if a client defines it.
    pub executor: Option<ExecutorId>,
    /// Its first tick from now on.
    pub next_at: Option<Timestamp>,
}

impl NewSchedule {
    /// Who says so.
    #[must_use]
    pub fn declared_by(&self) -> DeclaredBy {
        match self.executor {
            Some(_) => DeclaredBy::Code,
            None => DeclaredBy::Client,
        }
    }
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

/// The words of a schedule's row. One that a newer version has written is no error, which would keep
/// every other schedule from being read: the schedule is shown, with its trouble, and does not tick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleWords {
    /// What happens to ticks that were missed; the default if the word is unknown.
    pub missed: Missed,
    /// Who says so; a client if the word is unknown, because no code changes what a client says.
    pub declared_by: DeclaredBy,
    /// Which word is unknown.
    pub trouble: Option<String>,
}

impl ScheduleWords {
    /// Reads the words.
    #[must_use]
    pub fn read(missed: &str, declared_by: &str) -> Self {
        let unknown = |what, word: &str| {
            format!(
                "this version of Stepwell knows no {what} `{word}`; a newer one has written it, and \
                 lets the schedule tick"
            )
        };
        let (policy, by) = (Missed::parse(missed), DeclaredBy::parse(declared_by));
        let trouble = match (policy, by) {
            (None, _) => Some(unknown("policy of missed ticks", missed)),
            (_, None) => Some(unknown("declarer of a schedule", declared_by)),
            _ => None,
        };
        Self {
            missed: policy.unwrap_or_default(),
            declared_by: by.unwrap_or(DeclaredBy::Client),
            trouble,
        }
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
    /// Counts what it was before: a tick that was worked out from an earlier one counts no more.
    #[serde(skip)]
    pub revision: i64,
    /// The next tick; none if there will be none.
    pub next_at: Option<Timestamp>,
    /// The last tick that started a workflow.
    pub last_at: Option<Timestamp>,
    /// Since when it is paused, by whom and why.
    pub paused: Option<Paused>,
    /// Why it does not tick in this version of the code, which cannot read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

impl ScheduleInfo {
    /// Why it could not tick, if it could not.
    pub(crate) fn check(&self) -> Result<(), InvalidInput> {
        Ticks::of(&self.spec, self.timezone.as_deref())?;
        self.start_at(Timestamp::UNIX_EPOCH).map(drop)
    }

    /// The start of a tick: its id is `<schedule>~tick-<instant>`.
    pub(crate) fn start_at(&self, tick: Timestamp) -> Result<NewWorkflow, InvalidInput> {
        let mut input = vec![Payload::of(&tick, usize::MAX)?];
        let given: Vec<Payload> = self.arguments.read().map_err(|error| {
            InvalidInput::new(format!(
                "the arguments of the schedule `{}` are no JSON array: {error}",
                self.name
            ))
        })?;
        input.extend(given);
        let queue = self.queue.as_ref().map(QueueUse::new);
        let id = made::named(&self.name, Maker::Tick, &[&tick.to_string()]);
        let input = Payload::array(&input);
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
    /// its next tick, so that a restart misses none. A client cannot change one of the code, nor the
    /// code one of a client. Of two releases that declare it, [`Standing`](super::Standing) says
    /// which one counts.
    Define(NewSchedule),
    /// As [`Define`](Self::Define), by code that has found something else than it declares: within one
    /// release what stands stays.
    Redeclare(NewSchedule),
    /// Lets one of the code tick no more, because the code of an executor does not declare it; the row
    /// stays, and with it a pause. Not while an executor lives that declares it, nor if what stands
    /// was declared by a release that counts before the executor's.
    Withdraw {
        /// Its name.
        name: String,
        /// The executor whose code knows its workflow and declares no schedule of it.
        executor: ExecutorId,
    },
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
            Self::Define(new) | Self::Redeclare(new) => &new.name,
            Self::Tick(tick) => &tick.name,
            Self::Remove { name }
            | Self::Withdraw { name, .. }
            | Self::Pause { name, .. }
            | Self::Resume { name, .. } => name,
        }
    }
}

/// Ticks of a schedule.
#[derive(Debug, Clone)]
pub struct Tick {
    /// The schedule.
    pub name: String,
    /// What it was when it was read. If it is another one by now, the tick is not its own.
    pub revision: i64,
    /// Its next tick, as it was read. If it is another one by now, somebody else was first.
    pub at: Option<Timestamp>,
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
    /// Another release of the code declares it and counts before this one; nothing was written.
    Outdated,
    /// A client has defined it, who alone changes it; nothing was written.
    OfClient,
    /// It is declared by the code, which alone changes it; nothing was written.
    OfCode,
    /// There is no such schedule.
    NoSuchSchedule,
}
