//! Workflows that begin to exist.

use std::{fmt, time::Duration};

use super::QueueLimits;
use crate::{
    id::{Nonce, WorkflowId, WorkflowKey, made},
    payload::Payload,
    unique::Unique,
    workflow::State,
};

/// A workflow to start.
#[derive(Debug, Clone, PartialEq)]
pub struct NewWorkflow {
    /// Its id; the same id again starts nothing.
    pub id: WorkflowId,
    /// What tells it from others that ever have its id. The same when the start is handed in again.
    pub nonce: Nonce,
    /// The name of the function.
    pub name: String,
    /// The arguments, a JSON array; its first record.
    pub input: Payload,
    /// Who is to run it.
    pub launch: Launch,
    /// How long it waits before it may run.
    pub delay: Option<Duration>,
    /// When it is cancelled, counted from its start.
    pub deadline: Option<Duration>,
    /// The workflow that starts it, and whether it is cancelled together with that one.
    pub parent: Option<Owner>,
    /// Attributes for search.
    pub attributes: Vec<(String, String)>,
    /// Where it comes from.
    pub origin: Option<String>,
    /// What becomes of it when one of its kind is there. Never for a child.
    pub unique: Option<Box<Unique>>,
    /// A message that comes into the inbox of the one that was made, found or joined, in the same
    /// moment. Never for a child.
    pub message: Option<Box<StartMessage>>,
}

/// A message that comes with a start.
#[derive(Debug, Clone, PartialEq)]
pub struct StartMessage {
    /// The topic.
    pub topic: String,
    /// The message.
    pub payload: Payload,
    /// Sent once for each key and receiver.
    pub key: String,
}

impl NewWorkflow {
    /// One that any executor may run at once, and that nothing else is said of.
    #[must_use]
    pub fn new(id: WorkflowId, name: impl Into<String>, input: Payload) -> Self {
        Self {
            id,
            nonce: Nonce::generate(),
            name: name.into(),
            input,
            launch: Launch::Anywhere,
            delay: None,
            deadline: None,
            parent: None,
            attributes: Vec::new(),
            origin: None,
            unique: None,
            message: None,
        }
    }

    /// The same work under an id that no other work has, where `owner` says what its own belongs to: it
    /// must not be lost for that, and whoever reads the log must know. The same each time.
    #[must_use]
    pub fn beside(&self, owner: &dyn fmt::Display) -> Self {
        let id = made::beside(&self.id, &self.name, self.input.as_str());
        tracing::error!(
            workflow = self.name,
            id = %self.id,
            started_as = %id,
            %owner,
            "the id of work that is to be started belongs to other work: it is started under another id"
        );
        Self { id, ..self.clone() }
    }

    /// Says in the log that an alert was not started: what it is about has happened, and cannot wait.
    pub fn not_started(&self, started: &Started) {
        let why = match started {
            Started::Full { .. } => "its queue is full",
            Started::Taken { .. } => "one of its unique key is there",
            Started::Conflict { .. } => "its id belongs to other work",
            Started::New { .. } | Started::Joined { .. } | Started::Existing { .. } => return,
        };
        tracing::error!(workflow = self.name, id = %self.id, why, "an alert was not started");
    }

    /// Whether the executor of its batch runs it at once, if there is one.
    #[must_use]
    pub fn runs_here(&self) -> bool {
        self.launch == Launch::Here && self.delay.is_none_or(|delay| delay.is_zero())
    }
}

/// Who runs a new workflow.
#[derive(Debug, Clone, PartialEq)]
pub enum Launch {
    /// The executor of the batch, at once (unless it is delayed).
    Here,
    /// Any executor that knows its name.
    Anywhere,
    /// Any executor that knows its name, when the queue has a place.
    Queue(QueueUse),
}

/// The queue that a workflow goes through.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueUse {
    /// The queue's name.
    pub name: String,
    /// The limits that the code declares. They become the queue's when it does not exist yet.
    pub limits: QueueLimits,
    /// For whom it waits there; empty for nobody in particular. Keys take turns.
    pub key: String,
    /// Each point counts like [`PRIORITY_STEP`](super::PRIORITY_STEP) of waiting.
    pub priority: i32,
}

impl Started {
    /// Whose inbox a message comes into that was handed in with the start.
    #[must_use]
    pub fn inbox(&self) -> Option<WorkflowKey> {
        match self {
            Self::New { key, .. } | Self::Joined { key, .. } => Some(*key),
            Self::Existing { key, state, .. } => (!state.has_ended()).then_some(*key),
            Self::Conflict { .. } | Self::Full { .. } | Self::Taken { .. } => None,
        }
    }
}

/// The parent of a workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The parent's key.
    pub key: WorkflowKey,
    /// A detached child is not cancelled with its parent.
    pub detached: bool,
}

impl QueueUse {
    /// A queue, without limits, for nobody in particular.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            limits: QueueLimits::default(),
            key: String::new(),
            priority: 0,
        }
    }
}

/// What a start came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Started {
    /// It was made now.
    New {
        /// Its key.
        key: WorkflowKey,
        /// The one whose place it took, and which is cancelled.
        replaced: Option<WorkflowKey>,
    },
    /// One of its kind is there and counts. Nothing was written but the message.
    Joined {
        /// The key of the one that is there.
        key: WorkflowKey,
        /// Its id.
        id: WorkflowId,
        /// Where it is in its life.
        state: State,
    },
    /// One of its kind is there and refuses others. Nothing was written.
    Taken {
        /// The id of the one that is there.
        id: WorkflowId,
    },
    /// It was there, with the same name and input. Nothing was written.
    Existing {
        /// Its key.
        key: WorkflowKey,
        /// Where it is in its life; what other changes of the same batch do to it may be in it.
        state: State,
        /// Whether the executor of the batch owns it: it does when a start is handed in again
        /// after its answer was lost.
        mine: bool,
        /// What tells it from others that ever have its id, of one that is `mine`. None of one that was
        /// started before there were nonces.
        nonce: Option<Nonce>,
    },
    /// The id belongs to a workflow with another name or input. Nothing was written.
    Conflict {
        /// The name of the one that is there.
        name: String,
    },
    /// As many wait in the queue as may. Nothing was written. Never for a child: its parent may hold
    /// the place that the queue waits for.
    Full {
        /// How many may wait.
        waiting_max: u32,
    },
}
