//! Starts and sends that take part in a transaction of the user's own.

use std::any::Any;

use crate::{
    BoxFuture,
    app::App,
    call::Call,
    client::{Client, StartOutcome, check_attributes, check_send, check_start, sent, started},
    durable::{Durable, Workflow},
    error::{Error, ErrorKind},
    handle::Handle,
    id::{WorkflowId, check_given},
    limits::InvalidInput,
    names::Topic,
    payload::Payload,
    store::{Applied, Change, NewMessage, NewWorkflow, Started, Store},
};

/// A connection whose open transaction can take a start or a message with it: both are there when it
/// commits, and leave nothing when it does not.
///
/// The drivers implement it for their transactions and connections, where these can be in the
/// database that keeps the workflows. What is not is refused. `D` is the driver's store, and is
/// inferred: a type of its own lets the driver implement the trait for connections of sqlx.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot take a start or a message with it",
    note = "hand in the transaction itself: `&mut tx` of a `PostgresTx`, a `SqliteTx` or a transaction \
            of sqlx, or the connection, `&mut *tx`"
)]
pub trait Enlist<D>: Send {
    /// Applies a [`Change::Start`] or a [`Change::Send`] through the connection, without a commit.
    ///
    /// # Errors
    /// [`ErrorKind::Setup`] if the connection is not in the store's
    /// database, or may not write there. What a change comes to is no error here.
    fn apply<'a>(
        &'a mut self,
        store: &'a dyn Store,
        change: &'a Change,
    ) -> BoxFuture<'a, Result<Applied, Error>>;
}

impl<S: Send + Sync + 'static> App<S> {
    /// Starts a workflow in a transaction of yours: it exists if, and only if, the transaction
    /// commits. An executor takes it up then; until then its handle finds nothing.
    ///
    /// ```ignore
    /// let mut tx = pool.begin().await?;
    /// sqlx::query("insert into orders …").execute(&mut *tx).await?;
    /// app.start_in(&mut tx, fulfil(order).id(order_id).queue(&ORDERS)).await?;
    /// tx.commit().await?;
    /// ```
    ///
    /// It works with a transaction of sqlx, with a bare connection, and with the transaction of a
    /// `#[transaction]`, whose code may run again: without an id of yours each run starts another
    /// one, of which the one counts that is committed. The transaction must be in the database that
    /// keeps the workflows.
    ///
    /// Delays and deadlines are counted from the call, not from the commit. Whoever starts the same
    /// id meanwhile, or is the first to use the same queue, waits until the transaction ends: keep it
    /// short.
    ///
    /// # Errors
    /// Those of [`start`](Self::start), and [`ErrorKind::Setup`] if the
    /// transaction is not in the database of the workflows. A [`unique`](Call::unique) key and a
    /// queue with [`waiting_max`](crate::Queue::waiting_max) are
    /// [`ErrorKind::Invalid`]: they would hold up all others to the end of
    /// the transaction. After `Conflict` and `Invalid` the transaction can go on; after others undo
    /// it.
    pub async fn start_in<W: Workflow<State = S>, D, X: Enlist<D> + ?Sized>(
        &self,
        tx: &mut X,
        call: Call<W>,
    ) -> Result<Handle<W>, Error> {
        let new = call.into_new(WorkflowId::generate, None, self.payload_bytes_max())?;
        let id = new.id.to_string();
        self.client().note_queue(&new);
        self.client().start_checked_in(tx, new).await?;
        Ok(self.handle(id))
    }

    /// Puts a message into a workflow's inbox in a transaction of yours: it is there if, and only if,
    /// the transaction commits. The workflow may have been started in the same transaction.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such workflow: the
    /// transaction can go on. [`ErrorKind::Setup`] if it is not in the
    /// database of the workflows.
    pub async fn send_in<T: Durable, D, X: Enlist<D> + ?Sized>(
        &self,
        tx: &mut X,
        id: &str,
        topic: Topic<T>,
        message: T,
    ) -> Result<(), Error> {
        let message = NewMessage {
            to: WorkflowId::new(id)?,
            topic: topic.name().to_owned(),
            payload: Payload::of_durable(&message, self.payload_bytes_max())?,
            key: None,
        };
        self.client().send_in(tx, message).await
    }
}

impl Client {
    /// Starts a workflow by name in a transaction of the user's own. See [`App::start_in`].
    ///
    /// # Errors
    /// Those of [`App::start_in`].
    pub async fn start_in<D, X: Enlist<D> + ?Sized>(
        &self,
        tx: &mut X,
        new: NewWorkflow,
    ) -> Result<StartOutcome, Error> {
        check_given(&new.id)?;
        check_attributes(&new)?;
        self.start_checked_in(tx, new).await
    }

    async fn start_checked_in<D, X: Enlist<D> + ?Sized>(
        &self,
        tx: &mut X,
        new: NewWorkflow,
    ) -> Result<StartOutcome, Error> {
        check_start(&new)?;
        check_alone(&new)?;
        let (id, name) = (new.id.clone(), new.name.clone());
        let applied = tx.apply(&*self.0.store, &Change::Start(new)).await?;
        match started(applied, &id, &name)? {
            Started::Existing { state, .. } => Ok(StartOutcome::Existing(state)),
            _ => Ok(StartOutcome::New),
        }
    }

    /// Puts a message into a workflow's inbox in a transaction of the user's own; with a key, once
    /// per key. See [`App::send_in`].
    ///
    /// # Errors
    /// Those of [`App::send_in`].
    pub async fn send_in<D, X: Enlist<D> + ?Sized>(
        &self,
        tx: &mut X,
        message: NewMessage,
    ) -> Result<(), Error> {
        let message = check_send(message)?;
        let id = message.to.clone();
        let applied = tx.apply(&*self.0.store, &Change::Send(message)).await?;
        sent(&applied, id.as_str())
    }
}

/// The store as the driver's own.
///
/// # Errors
/// [`ErrorKind::Setup`] if the workflows are kept by another driver.
pub fn store_as<D: Store>(store: &dyn Store) -> Result<&D, Error> {
    let any: &dyn Any = store;
    any.downcast_ref().ok_or_else(|| {
        Error::new(
            ErrorKind::Setup,
            format!(
                "the workflows are kept in `{}`, and the transaction is in a database of another \
                 kind; what is to commit with them must be in one database with them",
                store.describe()
            ),
        )
    })
}

/// Refuses what others would have to wait for until the transaction ends, and what only an executor
/// can hand in.
fn check_alone(new: &NewWorkflow) -> Result<(), InvalidInput> {
    let what = if new.unique.is_some() {
        "a unique key: every start of its kind would wait until the transaction ends; leave it out, \
         and give the workflow an id that says what it is for"
    } else if new.parent.is_some() {
        "a parent: a child is started by its parent alone"
    } else if new.message.is_some() {
        "a message; send it in the same transaction, after the start"
    } else {
        return Ok(());
    };
    Err(InvalidInput::new(format!(
        "`{}` was not started: what is started in a transaction of the user's cannot have {what}",
        new.id
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::WorkflowKey,
        store::{Owner, StartMessage},
        unique::Unique,
    };

    #[track_caller]
    fn refused(change: impl FnOnce(&mut NewWorkflow), says: &str) {
        let id = WorkflowId::generate();
        let mut new = NewWorkflow::new(id, "pay", Payload::null());
        assert_eq!(check_alone(&new), Ok(()));
        change(&mut new);
        let error = check_alone(&new).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }

    #[test]
    fn what_would_hold_others_up_is_refused() {
        refused(
            |new| new.unique = Some(Box::new(Unique::new("ann"))),
            "a unique key",
        );
        refused(
            |new| {
                new.parent = Some(Owner {
                    key: WorkflowKey(1),
                    detached: false,
                });
            },
            "a parent",
        );
        let message = StartMessage {
            topic: String::new(),
            payload: Payload::null(),
            key: "k".to_owned(),
        };
        refused(|new| new.message = Some(Box::new(message)), "a message");
    }
}
