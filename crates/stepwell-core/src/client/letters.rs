//! Dead letters: workflows that did not do their work, and will not by themselves. See `redrive.rs` for
//! how they are tried again.

use super::{Client, unexpected};
use crate::{
    error::{Error, ErrorKind},
    id::WorkflowId,
    limits::Text,
    store::{Acknowledge, Acknowledged, Applied, Change, DeadLetters, Delete, Deleted, Tally},
    workflow::State,
};

impl Client {
    /// The dead letters that nobody has acknowledged, grouped by what they have in common: workflows
    /// that failed, are stuck or dead. The largest groups come first. The letters of one are
    /// [`list`](Self::list)ed by their name, state and fingerprint.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] without a database.
    pub async fn dead_letters(&self) -> Result<Vec<DeadLetters>, Error> {
        let groups = self.0.store.dead_letters().await;
        groups.map_err(|error| Error::of_store("count dead letters", error))
    }

    /// How many workflows there are of each origin, name and state. It counts them all: for a scrape
    /// every half minute, not for every request.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] without a database.
    pub async fn tallies(&self) -> Result<Vec<Tally>, Error> {
        let tallies = self.0.store.tallies().await;
        tallies.map_err(|error| Error::of_store("count workflows", error))
    }

    /// Says of a dead letter that nobody need look at it any more, and why. It stays as it is. Saying so
    /// once more is no error; the first note stays. If it goes on (resumed, or tried by another version)
    /// and fails again, it has to be looked at again.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such workflow, [`ErrorKind::Conflict`] if it is no dead
    /// letter, [`ErrorKind::Invalid`] for a note that is empty or has more than 1,024 bytes.
    pub async fn acknowledge(&self, id: &str, note: &str) -> Result<(), Error> {
        Text::Note.check(note)?;
        let change = Change::Acknowledge(Acknowledge {
            id: WorkflowId::new(id)?,
            note: note.to_owned(),
        });
        match self.request(&format!("acknowledge `{id}`"), change).await? {
            Applied::Acknowledge(Acknowledged::Now | Acknowledged::Already) => Ok(()),
            Applied::Acknowledge(Acknowledged::Not(state)) => Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "the workflow `{id}` is {state}; only one that failed, is stuck or dead can be \
                     acknowledged"
                ),
            )),
            Applied::Acknowledge(Acknowledged::NoSuchWorkflow) => Err(Error::no_such_workflow(id)),
            _ => Err(unexpected("an acknowledgement")),
        }
    }

    /// Deletes a workflow that has ended, is stuck or dead, with all that is kept of it. Its children
    /// stay. It cannot be brought back; and its id is free again, so that an event or a request that
    /// comes once more is taken for a new one. What is stuck or dead is cancelled first, in the same commit:
    /// who waits for it hears of its end, and its attached children end with it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such workflow, [`ErrorKind::Conflict`] if it may go on by
    /// itself.
    pub async fn delete(&self, id: &str) -> Result<(), Error> {
        let workflow = self.existing(id).await?;
        if !workflow.state.is_at_rest() {
            return Err(not_at_rest(id, workflow.state));
        }
        let delete = Change::Delete(Delete {
            id: workflow.id,
            key: Some(workflow.key),
        });
        match self.request(&format!("delete `{id}`"), delete).await? {
            // Another client may have been quicker: this very workflow is gone.
            Applied::Delete(Deleted::Now | Deleted::NoSuchWorkflow) => Ok(()),
            Applied::Delete(Deleted::Not(state)) => Err(not_at_rest(id, state)),
            _ => Err(unexpected("a deletion")),
        }
    }
}

fn not_at_rest(id: &str, state: State) -> Error {
    let message =
        format!("the workflow `{id}` is {state} and may go on; cancel it before it is deleted");
    Error::new(ErrorKind::Conflict, message)
}
