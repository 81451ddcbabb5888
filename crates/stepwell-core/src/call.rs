//! [`Call`]: a call of a workflow, as a value.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    client::check_start,
    durable::Workflow,
    error::Error,
    id::{CallId, Nonce, WorkflowId},
    limits::{InvalidInput, PRINCIPAL_ATTRIBUTE, REQUEST_ATTRIBUTE, check_attribute},
    names::Queue,
    payload::Payload,
    store::{Launch, NewWorkflow, Owner},
    unique::Unique,
};

/// A call of a workflow: a value, until an application, a context or a queue runs it.
///
/// ```ignore
/// app.start(checkout().id(key).queue(&ORDERS).deadline(HOUR)).await?;
/// ```
#[must_use = "a call does nothing until it is run: `ctx.run(…)`, `ctx.start(…)`, `app.start(…)`"]
pub struct Call<W: Workflow> {
    args: W::Args,
    id: Option<CallId>,
    queue: Option<&'static Queue>,
    queue_key: Option<String>,
    priority: i32,
    delay: Option<Duration>,
    deadline: Option<Duration>,
    detached: bool,
    attributes: Vec<(String, String)>,
    principal: Option<String>,
    request_digest: Option<String>,
    origin: Option<String>,
    unique: Option<Unique>,
    anywhere: bool,
}

impl<W: Workflow> Call<W> {
    /// A call with these arguments. `#[workflow]` makes a function that does this.
    pub fn new(args: W::Args) -> Self {
        Self {
            args,
            id: None,
            queue: None,
            queue_key: None,
            priority: 0,
            delay: None,
            deadline: None,
            detached: false,
            attributes: Vec::new(),
            principal: None,
            request_digest: None,
            origin: None,
            unique: None,
            anywhere: false,
        }
    }

    /// Gives the workflow an id of 1 to 255 bytes. The same id again starts nothing: the first
    /// one's handle comes back. The same id with other arguments is a conflict.
    ///
    /// A text must not hold a `~` (ids that Stepwell makes do, and so none of them is met), an
    /// invisible character, or a blank at its edges.
    pub fn id(mut self, id: impl Into<CallId>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sends the workflow through a queue.
    pub fn queue(mut self, queue: &'static Queue) -> Self {
        self.queue = Some(queue);
        self
    }

    /// Says for whom the workflow goes through its queue: a customer, a tenant. However much one key
    /// has waiting, the others take turns with it; and [`Queue::key_concurrency`] holds for each.
    pub fn queue_key(mut self, key: impl Into<String>) -> Self {
        self.queue_key = Some(key.into());
        self
    }

    /// Puts the workflow further ahead in its queue, or further back: each point counts like one
    /// minute of waiting. So nothing waits for ever behind what is more urgent. From -1,000,000 to
    /// 1,000,000; among workflows of one [`queue_key`](Self::queue_key).
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
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

    /// Says for whom the workflow is started. Kept with it, as the attribute
    /// [`PRINCIPAL_ATTRIBUTE`](crate::limits::PRINCIPAL_ATTRIBUTE) that lists can be filtered by; the web
    /// integration shows the workflow to nobody else. 1 to 255 bytes, no control characters.
    pub fn principal(mut self, name: impl Into<String>) -> Self {
        self.principal = Some(name.into());
        self
    }

    /// Keeps a digest of the request that starts the workflow, as the attribute
    /// [`REQUEST_ATTRIBUTE`](crate::limits::REQUEST_ATTRIBUTE): an edge that finds the workflow by its id
    /// can tell whether it is asked for the same again.
    pub fn request_digest(mut self, digest: impl Into<String>) -> Self {
        self.request_digest = Some(digest.into());
        self
    }

    /// Sets an attribute that lists can be filtered by. Names that begin with `stepwell.` are refused.
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }

    /// Says where the call comes from; shown with the workflow.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// Makes the start one of a kind: joined, refused or put in place of the one that is there. For
    /// starts from outside a workflow.
    pub fn unique(mut self, unique: Unique) -> Self {
        self.unique = Some(unique);
        self
    }

    /// Leaves the workflow to whichever executor has room for it, where a start without a queue would
    /// run it in this process.
    pub fn anywhere(mut self) -> Self {
        self.anywhere = true;
        self
    }

    /// Where the call comes from, if it was said.
    #[must_use]
    pub fn given_origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// The id that was given, if one was.
    #[must_use]
    pub fn given_id(&self) -> Option<&str> {
        self.id.as_ref().map(CallId::as_str)
    }

    /// What a schedule keeps of a call that was made with the tick 1970-01-01T00:00:00Z: the
    /// arguments behind it, a JSON array, and the queue.
    pub(crate) fn into_scheduled(
        self,
        bytes_max: usize,
    ) -> Result<(Payload, Option<&'static Queue>), InvalidInput> {
        let is_plain = self.id.is_none()
            && self.queue_key.is_none()
            && self.priority == 0
            && self.delay.is_none()
            && self.deadline.is_none()
            && self.attributes.is_empty()
            && self.principal.is_none()
            && self.request_digest.is_none()
            && self.origin.is_none()
            && self.unique.is_none();
        if !is_plain {
            return Err(InvalidInput::new(format!(
                "the call of `{}` gives an id, a place in the queue, a delay, a deadline, an attribute, \
                 an origin or a unique key; a schedule starts each tick under an id of its own, at once",
                W::NAME
            )));
        }
        let not_first = || {
            InvalidInput::new(format!(
                "the first argument of `{}` is not the tick; write `|at| {0}(at, …)`",
                W::NAME
            ))
        };
        let given = Payload::of_durable(&self.args, bytes_max)?;
        let tick = Payload::of_ours(&Timestamp::UNIX_EPOCH)?;
        let mut arguments = match given.as_str() {
            // A workflow without arguments is given the tick and ignores it.
            "null" => vec![tick.clone()],
            _ => given.read::<Vec<Payload>>().map_err(|_| not_first())?,
        };
        if arguments.first() != Some(&tick) {
            return Err(not_first());
        }
        arguments.remove(0);
        Ok((Payload::array(&arguments), self.queue))
    }

    /// The attributes of its row.
    fn row_attributes(&mut self) -> Result<Vec<(String, String)>, InvalidInput> {
        let mut attributes = std::mem::take(&mut self.attributes);
        for (name, value) in &attributes {
            check_attribute(name, value)?;
        }
        let ours = [
            (PRINCIPAL_ATTRIBUTE, self.principal.take()),
            (REQUEST_ATTRIBUTE, self.request_digest.take()),
        ];
        let ours = ours
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        attributes.extend(ours);
        Ok(attributes)
    }

    /// Who is to run it.
    fn launch(&self) -> Result<Launch, InvalidInput> {
        let Some(queue) = self.queue else {
            if self.queue_key.is_some() || self.priority != 0 {
                return Err(InvalidInput::new(format!(
                    "the call of `{}` has a key or a priority in a queue, but no queue; add \
                     `.queue(&QUEUE)`",
                    W::NAME
                )));
            }
            return Ok(match self.anywhere {
                true => Launch::Anywhere,
                false => Launch::Here,
            });
        };
        let mut queue = queue.as_use();
        queue.priority = self.priority;
        if let Some(key) = &self.queue_key {
            queue.key.clone_from(key);
        }
        Ok(Launch::Queue(queue))
    }

    /// The call as a change of the database. `id` is used when none was given.
    pub(crate) fn into_new(
        mut self,
        id: impl FnOnce() -> WorkflowId,
        parent: Option<crate::WorkflowKey>,
        bytes_max: usize,
    ) -> Result<NewWorkflow, Error> {
        let launch = self.launch()?;
        if parent.is_some() && self.unique.is_some() {
            return Err(InvalidInput::new(format!(
                "the child `{}` has a unique key, but a child has an id that its parent knows \
                 before it is started; start it in a step, through the application",
                W::NAME
            ))
            .into());
        }
        let attributes = self.row_attributes()?;
        let new = NewWorkflow {
            id: self.id.map_or_else(|| Ok(id()), CallId::checked)?,
            nonce: Nonce::generate(),
            name: W::NAME.to_owned(),
            input: Payload::of_durable(&self.args, bytes_max)?,
            launch,
            delay: self.delay,
            deadline: self.deadline,
            parent: parent.map(|key| Owner {
                key,
                detached: self.detached,
            }),
            attributes,
            origin: self.origin,
            unique: self.unique.map(Box::new),
            message: None,
        };
        // Here, so that no start goes without it: of the application, of a parent, of an alert.
        check_start(&new)?;
        Ok(new)
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
