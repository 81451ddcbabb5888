//! A workflow as it is shown. These are the command line's own forms: the JSON of a command must
//! stay when a field of the engine moves.

use serde::{Serialize, Serializer};
use stepwell_core::{Acknowledgement, State, Timestamp, store::Workflow};

use crate::{output::Shown, table::Cell};

/// How much of a reason a list shows.
const REASON_CHARACTERS: usize = 60;

/// A workflow in a list.
#[derive(Debug, Serialize)]
pub(crate) struct WorkflowLine<'a> {
    id: &'a str,
    name: &'a str,
    state: State,
    reason: Option<&'a str>,
    queue: Option<&'a str>,
    executor: Option<&'a str>,
    parent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    forked_from: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acknowledged: Option<&'a Acknowledgement>,
    origin: Option<&'a str>,
    recoveries: u32,
    created_at: Timestamp,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    deadline_at: Option<Timestamp>,
    wake_at: Option<Timestamp>,
    /// An object.
    #[serde(serialize_with = "as_object")]
    attributes: &'a [(String, String)],
}

impl<'a> WorkflowLine<'a> {
    pub(crate) fn of(workflow: &'a Workflow) -> Self {
        Self {
            id: workflow.id.as_str(),
            name: &workflow.name,
            state: workflow.state,
            reason: workflow.reason.as_deref(),
            queue: workflow.queue.as_deref(),
            executor: workflow.executor.as_ref().map(|it| it.as_str()),
            parent: workflow.parent.as_ref().map(|it| it.as_str()),
            forked_from: workflow.forked_from.as_ref().map(|it| it.as_str()),
            fingerprint: workflow.fingerprint.as_deref(),
            acknowledged: workflow.acknowledged.as_ref(),
            origin: workflow.origin.as_deref(),
            recoveries: workflow.recoveries,
            created_at: workflow.created_at,
            started_at: workflow.started_at,
            ended_at: workflow.ended_at,
            deadline_at: workflow.deadline_at,
            wake_at: workflow.wake_at,
            attributes: &workflow.attributes,
        }
    }
}

fn as_object<S: Serializer>(pairs: &&[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}

impl Shown for WorkflowLine<'_> {
    const COLUMNS: &'static [&'static str] =
        &["ID", "NAME", "STATE", "QUEUE", "CREATED", "ENDED", "REASON"];

    fn id(&self) -> &str {
        self.id
    }

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::new(self.id),
            Cell::new(self.name),
            Cell::state(self.state),
            Cell::maybe(self.queue),
            Cell::at(Some(self.created_at)),
            Cell::at(self.ended_at),
            Cell::maybe(self.reason).short(REASON_CHARACTERS),
        ]
    }

    fn fields(&self) -> Vec<(&'static str, Cell)> {
        let attributes = self
            .attributes
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let recoveries = (self.recoveries > 0).then(|| self.recoveries.to_string());
        vec![
            ("ID", Cell::new(self.id)),
            ("NAME", Cell::new(self.name)),
            ("STATE", Cell::state(self.state)),
            ("REASON", Cell::maybe(self.reason)),
            ("QUEUE", Cell::maybe(self.queue)),
            ("EXECUTOR", Cell::maybe(self.executor)),
            ("PARENT", Cell::maybe(self.parent)),
            ("FORKED FROM", Cell::maybe(self.forked_from)),
            ("FINGERPRINT", Cell::maybe(self.fingerprint)),
            (
                "ACKNOWLEDGED",
                Cell::maybe(self.acknowledged.map(|it| &it.note)),
            ),
            ("ORIGIN", Cell::maybe(self.origin)),
            ("RECOVERIES", Cell::maybe(recoveries)),
            ("CREATED", Cell::at(Some(self.created_at))),
            ("STARTED", Cell::at(self.started_at)),
            ("ENDED", Cell::at(self.ended_at)),
            ("DEADLINE", Cell::at(self.deadline_at)),
            ("WAKES", Cell::at(self.wake_at)),
            (
                "ATTRIBUTES",
                Cell::new(attributes.collect::<Vec<_>>().join(" ")),
            ),
        ]
    }
}
