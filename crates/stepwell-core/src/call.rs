//! [`Call`]: a call of a workflow, as a value.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    durable::Workflow,
    error::Error,
    id::WorkflowId,
    limits::InvalidInput,
    names::Queue,
    payload::Payload,
    store::{Launch, NewWorkflow, Owner},
};

/// A call of a workflow: a value, until an application, a context or a queue runs it.
///
/// ```ignore
/// app.start(checkout().id(key).queue(&ORDERS).deadline(HOUR)).await?;
/// ```
#[must_use = "a call does nothing until it is run: `ctx.run(…)`, `ctx.start(…)`, `app.start(…)`"]
pub struct Call<W: Workflow> {
    args: W::Args,
    id: Option<String>,
    queue: Option<&'static Queue>,
    delay: Option<Duration>,
    deadline: Option<Duration>,
    detached: bool,
    attributes: Vec<(String, String)>,
    origin: Option<String>,
}

impl<W: Workflow> Call<W> {
    /// A call with these arguments. `#[workflow]` makes a function that does this.
    pub fn new(args: W::Args) -> Self {
        Self {
            args,
            id: None,
            queue: None,
            delay: None,
            deadline: None,
            detached: false,
            attributes: Vec::new(),
            origin: None,
        }
    }

    /// Gives the workflow an id of 1 to 255 bytes. The same id again starts nothing: the first
    /// one's handle comes back. The same id with other arguments is a conflict.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sends the workflow through a queue.
    pub fn queue(mut self, queue: &'static Queue) -> Self {
        self.queue = Some(queue);
        self
    }

    /// Lets the workflow wait before it may run. The instant is durable.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// Cancels the workflow if it has not ended after this time, counted from its start.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Lets a child live on when its parent is cancelled.
    pub fn detached(mut self) -> Self {
        self.detached = true;
        self
    }

    /// Sets an attribute that lists can be filtered by.
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }

    /// Says where the call comes from; shown with the workflow.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// The id that was given, if one was.
    #[must_use]
    pub fn given_id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// What a schedule keeps of a call that was made with the tick 1970-01-01T00:00:00Z: the
    /// arguments behind it, a JSON array, and the queue.
    pub(crate) fn into_scheduled(
        self,
        bytes_max: usize,
    ) -> Result<(Payload, Option<&'static Queue>), InvalidInput> {
        let is_plain = self.id.is_none()
            && self.delay.is_none()
            && self.deadline.is_none()
            && self.attributes.is_empty()
            && self.origin.is_none();
        if !is_plain {
            return Err(InvalidInput::new(format!(
                "the call of `{}` gives an id, a delay, a deadline, an attribute or an origin; a \
                 schedule starts each tick under an id of its own, at once",
                W::NAME
            )));
        }
        let not_first = || {
            InvalidInput::new(format!(
                "the first argument of `{}` is not the tick; write `|at| {0}(at, …)`",
                W::NAME
            ))
        };
        let given = Payload::of(&self.args, bytes_max)?;
        let mut arguments = match given.read::<serde_json::Value>() {
            Ok(serde_json::Value::Array(arguments)) => arguments,
            Ok(serde_json::Value::Null) => vec![serde_json::json!(Timestamp::UNIX_EPOCH)],
            _ => return Err(not_first()),
        };
        if arguments.first() != Some(&serde_json::json!(Timestamp::UNIX_EPOCH)) {
            return Err(not_first());
        }
        arguments.remove(0);
        Ok((Payload::of(&arguments, bytes_max)?, self.queue))
    }

    /// The call as a change of the database. `id` is used when none was given.
    pub(crate) fn into_new(
        self,
        id: impl FnOnce() -> WorkflowId,
        parent: Option<crate::WorkflowKey>,
        bytes_max: usize,
    ) -> Result<NewWorkflow, Error> {
        let launch = match self.queue {
            None => Launch::Here,
            Some(queue) => {
                crate::limits::check_name(
                    "queue's name",
                    queue.name,
                    crate::limits::NAME_BYTES_MAX,
                )?;
                Launch::Queue(queue.as_use())
            }
        };
        Ok(NewWorkflow {
            id: self.id.map_or_else(|| Ok(id()), WorkflowId::new)?,
            name: W::NAME.to_owned(),
            input: Payload::of(&self.args, bytes_max)?,
            launch,
            delay: self.delay,
            deadline: self.deadline,
            parent: parent.map(|key| Owner {
                key,
                detached: self.detached,
            }),
            attributes: self.attributes,
            origin: self.origin,
        })
    }
}

impl<W: Workflow> std::fmt::Debug for Call<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call")
            .field("workflow", &W::NAME)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
