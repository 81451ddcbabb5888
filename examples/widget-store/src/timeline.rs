//! A workflow as the page shows it: its operations in words, its crashes, its children.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use stepwell::{
    BoxFuture, Client, Error, ExecutorId, Outcome, Place, Position, Record, RecordKind, Timestamp,
    store::Workflow,
};

use crate::{
    checkout::{PAYMENT, PaymentStatus},
    shop::PARTS,
};

/// How much of a value the page shows.
const OUTPUT_CHARS_MAX: usize = 200;

/// Why a workflow changes hands in an orderly end, which is no crash.
const HANDED_BACK: &str = "handed back";

/// When the process of each executor died, as far as somebody saw it.
pub(crate) type Deaths = HashMap<ExecutorId, Timestamp>;

/// A workflow, its history in words.
#[derive(Debug, Serialize)]
pub(crate) struct WorkflowView {
    pub(crate) id: String,
    pub(crate) name: String,
    state: &'static str,
    waiting_for: Option<String>,
    created_at: Timestamp,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    steps: Vec<Step>,
    crashes: Vec<Interruption>,
    pub(crate) children: Vec<WorkflowView>,
}

/// One operation. A wait that goes on has no end yet.
#[derive(Debug, Serialize)]
struct Step {
    position: String,
    kind: &'static str,
    name: String,
    output: Option<String>,
    error: Option<String>,
    started_at: Timestamp,
    ended_at: Option<Timestamp>,
    attempts: u32,
}

/// A crash that met the workflow.
#[derive(Debug, Serialize)]
struct Interruption {
    at: Timestamp,
    recovered_at: Timestamp,
    replayed: u32,
}

impl WorkflowView {
    /// Reads a workflow and its children.
    pub(crate) fn of<'a>(
        client: &'a Client,
        workflow: Workflow,
        deaths: &'a Deaths,
    ) -> BoxFuture<'a, Result<Self, Error>> {
        Box::pin(async move {
            let id = workflow.id.to_string();
            let history = client.history(&id).await?;
            let steps = steps(&history.operations, client.now());
            let mut children = Vec::new();
            for child in client.children(&id).await? {
                children.push(Self::of(client, child, deaths).await?);
            }
            let open = steps.iter().find(|step| step.ended_at.is_none());
            Ok(Self {
                waiting_for: open.map(|step| step.name.clone()),
                crashes: interruptions(client, &id, deaths).await?,
                id,
                name: workflow.name,
                state: workflow.state.as_str(),
                created_at: workflow.created_at,
                started_at: workflow.started_at,
                ended_at: workflow.ended_at,
                steps,
                children,
            })
        })
    }

    /// Where the workflow is, as the end of a sentence: "checkout was …".
    pub(crate) fn phase(&self) -> String {
        let done = |kind: RecordKind| {
            let kind = kind.as_str();
            self.steps.iter().filter(|step| step.kind == kind).count()
        };
        if self.name == "dispatch_order" {
            return format!("shipping, {} of {PARTS}", done(RecordKind::Transaction));
        }
        match (&self.waiting_for, self.steps.last()) {
            (Some(_), _) => "waiting for the payment".to_owned(),
            (None, Some(step)) => format!("past {}", step.name),
            (None, None) => "about to begin".to_owned(),
        }
    }
}

async fn interruptions(
    client: &Client,
    id: &str,
    deaths: &Deaths,
) -> Result<Vec<Interruption>, Error> {
    let takeovers = client.takeovers(id).await?;
    let crashed = takeovers
        .iter()
        .filter(|takeover| takeover.why != HANDED_BACK);
    Ok(crashed
        .map(|takeover| Interruption {
            // The store knows when the death was noticed; the supervisor saw it happen, if it lives.
            // An executor that has only lost its lease dies later, or not at all.
            at: deaths
                .get(&takeover.from)
                .map_or(takeover.lost_at, |at| takeover.lost_at.min(*at)),
            recovered_at: takeover.at,
            replayed: takeover.replayed,
        })
        .collect())
}

/// The operations of a history: one for each number of the workflow's body.
fn steps(records: &[Record], now: Timestamp) -> Vec<Step> {
    let mut operations: BTreeMap<u32, Vec<&Record>> = BTreeMap::new();
    for record in records {
        if let Place::At(position) = &record.place {
            let number = position.top_number();
            operations.entry(number).or_default().push(record);
        }
    }
    let mut steps: Vec<Step> = Vec::new();
    for (number, records) in operations {
        // What comes later has begun, so a sleep before it is over, whatever the clock says.
        if let Some(Step { ended_at, kind, .. }) = steps.last_mut()
            && *kind == RecordKind::Sleep.as_str()
        {
            *ended_at = ended_at.or(records.first().map(|record| record.started_at));
        }
        let top = Place::At(Position::top(number));
        steps.push(match records.as_slice() {
            [only] if only.place == top && only.kind == RecordKind::Sleep => sleep(only, now),
            [only] if only.place == top => step(only),
            several => wait_for_payment(number, several),
        });
    }
    steps
}

fn step(record: &Record) -> Step {
    let name = match record.kind {
        RecordKind::Step | RecordKind::Transaction => record.name.clone(),
        kind => format!("{} {}", kind.as_str(), record.name)
            .trim()
            .to_owned(),
    };
    let (output, error) = match &record.outcome {
        Outcome::Ok(value) => (shown(value.as_str()), None),
        Outcome::Err(error) => (None, shown(error.as_str())),
    };
    Step {
        position: position(record),
        kind: record.kind.as_str(),
        name,
        output,
        error,
        started_at: record.started_at,
        ended_at: Some(record.recorded_at),
        attempts: record.attempts,
    }
}

/// A sleep is recorded when it begins, with the instant at which it ends.
fn sleep(record: &Record, now: Timestamp) -> Step {
    let until: Option<Timestamp> = record.outcome.payload().read().ok();
    Step {
        output: None,
        ended_at: until.filter(|until| *until <= now),
        ..step(record)
    }
}

/// The store's only race is the payment against the clock. Its deadline is recorded when it begins;
/// the message and the winner when it ends.
fn wait_for_payment(number: u32, records: &[&Record]) -> Step {
    let of = |kind| records.iter().find(|record| record.kind == kind);
    let begun = of(RecordKind::Sleep).or(records.first());
    let ended = of(RecordKind::Race);
    let paid: Option<PaymentStatus> =
        of(RecordKind::Recv).and_then(|message| message.outcome.payload().read().ok());
    let output = match paid {
        Some(PaymentStatus::Paid) => Some("paid"),
        Some(PaymentStatus::Failed) => Some("failed"),
        None => ended.map(|_| "nothing in time"),
    };
    Step {
        position: Position::top(number).to_string(),
        kind: RecordKind::Recv.as_str(),
        name: format!("recv {}", PAYMENT.name()),
        output: output.map(str::to_owned),
        error: None,
        started_at: begun.map_or(Timestamp::UNIX_EPOCH, |record| record.started_at),
        ended_at: ended.map(|record| record.recorded_at),
        attempts: 1,
    }
}

fn position(record: &Record) -> String {
    record
        .place
        .position()
        .map(Position::to_string)
        .unwrap_or_default()
}

/// A stored value for people: text without quotes, nothing for nothing.
fn shown(json: &str) -> Option<String> {
    let text = match serde_json::from_str(json) {
        Ok(serde_json::Value::Null) => return None,
        Ok(serde_json::Value::String(text)) => text,
        _ => json.to_owned(),
    };
    Some(text.chars().take(OUTPUT_CHARS_MAX).collect())
}
