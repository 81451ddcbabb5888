//! Dead letters are tried again.

use super::{Client, StartOutcome, unexpected};
use crate::{
    durable::Workflow as _,
    error::{Error, ErrorKind},
    id::{WorkflowId, made},
    limits::InvalidInput,
    observe::Observation,
    payload::Payload,
    position::Position,
    redrive::{Redrive, RedriveFrom, cut, redrive},
    store::{Applied, Change, Fork, Forked, NewWorkflow, Workflow},
    workflow::State,
};

/// How many ids are looked at for one that is free.
const TRIES_MAX: u32 = 1_000;

impl Client {
    /// Tries a dead letter again and says under which id. A failed one keeps its own result and is
    /// acknowledged; what is tried is a new workflow, in the same queue, with the next id: `order-7~2`,
    /// `order-7~3`. A stuck or dead one goes on under its own id if it is tried from where it stopped,
    /// and is cancelled if it is started anew.
    ///
    /// The same letter again starts nothing and says the same id. Steps that run anew have
    /// idempotency keys (`Attempt::key`) of the new workflow.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such workflow, [`ErrorKind::Conflict`] if it is no dead
    /// letter.
    pub async fn redrive(&self, id: &str, from: RedriveFrom) -> Result<String, Error> {
        self.redrive_with(id, from, None, Vec::new()).await
    }

    /// Tries a dead letter again from its beginning, with other arguments: a JSON array.
    ///
    /// # Errors
    /// As [`redrive`](Self::redrive), and [`ErrorKind::Invalid`] for what is no array.
    pub async fn redrive_with_input(&self, id: &str, input: Payload) -> Result<String, Error> {
        if !input.as_str().trim_start().starts_with('[') {
            return Err(InvalidInput::new(format!(
                "the arguments of a workflow are a JSON array, `[{input:?}]` instead of `{input:?}`"
            ))
            .into());
        }
        let (from, none) = (RedriveFrom::Start, Vec::new());
        self.redrive_with(id, from, Some(input), none).await
    }

    /// Starts a workflow that tries many dead letters again, at a limited rate; any executor may run it.
    /// It publishes how far it has come ([`PROGRESS`](crate::redrive::PROGRESS)), can be cancelled and
    /// resumed, and goes on after a crash. The same `job_id` again starts nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a redrive that makes no sense, [`ErrorKind::Conflict`] if the id belongs
    /// to something else.
    pub async fn redrive_all(&self, job_id: &str, job: &Redrive) -> Result<StartOutcome, Error> {
        job.check()?;
        let input = Payload::of(&(job,), self.0.payload_bytes_max)?;
        let id = WorkflowId::given(job_id)?;
        self.start(NewWorkflow::new(id, redrive::NAME, input)).await
    }

    pub(crate) async fn redrive_with(
        &self,
        id: &str,
        from: RedriveFrom,
        input: Option<Payload>,
        attributes: Vec<(String, String)>,
    ) -> Result<String, Error> {
        let letter = self.existing(id).await?;
        for _ in 0..TRIES_MAX {
            let new_id = match self.next_try(&letter).await? {
                Try::Known(id) => return Ok(id.to_string()),
                Try::Free(id) => id,
            };
            check_letter(&letter)?;
            if letter.state != State::Failed && from == RedriveFrom::FailedStep {
                self.resume(id).await?;
                return Ok(id.to_owned());
            }
            let fork = Fork {
                input: input.clone(),
                attributes: attributes.clone(),
                ..self.fork_of(&letter, new_id, from).await?
            };
            if let Some(new_id) = self.fork_instead(&letter, fork).await? {
                return Ok(new_id);
            }
        }
        Err(unexpected("a redrive"))
    }

    /// Under which id a letter was tried again, or can be.
    async fn next_try(&self, letter: &Workflow) -> Result<Try, Error> {
        let mut id = made::next_try(&letter.id);
        for _ in 0..TRIES_MAX {
            match self.get(id.as_str()).await? {
                None => return Ok(Try::Free(id)),
                Some(known) if is_try_of(&known, letter) => return Ok(Try::Known(id)),
                // It is a try of another one that had the letter's id, and was deleted.
                Some(_) => id = made::next_try(&id),
            }
        }
        Err(unexpected("a look for a free id"))
    }

    async fn fork_of(
        &self,
        letter: &Workflow,
        id: WorkflowId,
        from: RedriveFrom,
    ) -> Result<Fork, Error> {
        let source = letter.id.clone();
        if from == RedriveFrom::Start {
            return Ok(Fork::new(source, id, Position::top(0)));
        }
        let records = self.records(letter.key).await;
        let records =
            records.map_err(|error| Error::of_store(&format!("read `{source}`"), error))?;
        let cut = cut::cut(&records);
        Ok(Fork {
            without: cut.without,
            ..Fork::new(source, id, cut.from)
        })
    }

    /// Forks a letter and lays it aside, in one change. None if another redrive of the same letter has
    /// taken the id since it was looked up: nobody else makes such ids.
    async fn fork_instead(&self, letter: &Workflow, fork: Fork) -> Result<Option<String>, Error> {
        let new_id = fork.id.to_string();
        let fork = Fork {
            letter: Some(letter.key),
            ..fork
        };
        let what = format!("redrive `{}`", letter.id);
        match self.request(&what, Change::Fork(fork)).await? {
            Applied::Fork(Forked::New { .. }) => {
                self.observe(&Observation::Redriven { name: &letter.name });
                Ok(Some(new_id))
            }
            Applied::Fork(Forked::Existing | Forked::Taken) => Ok(None),
            Applied::Fork(Forked::NoLetter(state)) => Err(no_letter(&letter.id, state)),
            Applied::Fork(Forked::NoSuchWorkflow) => {
                Err(Error::no_such_workflow(letter.id.as_str()))
            }
            _ => Err(unexpected("a redrive")),
        }
    }
}

/// A second try of a letter.
enum Try {
    /// It was made, under this id.
    Known(WorkflowId),
    /// It can be made under this id.
    Free(WorkflowId),
}

/// Whether a workflow is a second try of a letter. Keys grow: one that is older than the letter was
/// made of an earlier workflow of the same id, which was deleted.
fn is_try_of(known: &Workflow, letter: &Workflow) -> bool {
    known.forked_from.as_ref() == Some(&letter.id) && known.key > letter.key
}

fn check_letter(letter: &Workflow) -> Result<(), Error> {
    match letter.state.is_dead_letter() {
        true => Ok(()),
        false => Err(no_letter(&letter.id, letter.state)),
    }
}

fn no_letter(id: &WorkflowId, state: State) -> Error {
    let message = format!(
        "the workflow `{id}` is {state}; only one that failed, is stuck or dead is tried again"
    );
    Error::new(ErrorKind::Conflict, message)
}
