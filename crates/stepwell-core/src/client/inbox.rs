//! What waits in inboxes, seen and changed by hand: a message that the code cannot read stops its
//! workflow each time that it is received.

use super::{Client, unexpected};
use crate::{
    error::{Error, ErrorKind},
    id::WorkflowId,
    limits::Text,
    payload::Payload,
    store::{Applied, Change, EditMessage, Edited, WaitingMessage},
};

/// How many messages are listed at once. Each may be as large as a payload.
const PAGE: u32 = 100;

impl Client {
    /// What waits in a workflow's inbox: by topic, and in the order of sending, up to a hundred from
    /// behind the last one of the page before.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such workflow.
    pub async fn messages(
        &self,
        id: &str,
        after: Option<&WaitingMessage>,
    ) -> Result<Vec<WaitingMessage>, Error> {
        // Older messages may have no topic.
        if let Some(after) = after.filter(|after| !after.topic.is_empty()) {
            Text::Topic.check(&after.topic)?;
        }
        let key = self.existing(id).await?.key;
        let messages = self.0.store.waiting_messages(key, after, PAGE).await;
        messages.map_err(|error| Error::of_store(&format!("list the inbox of `{id}`"), error))
    }

    /// Takes a message out of a workflow's inbox: nobody receives it. Its key stays used. A workflow
    /// that got stuck over it goes on when it is [`resume`](Self::resume)d.
    ///
    /// ```ignore
    /// for message in client.messages("order-7", None).await? {
    ///     if message.payload.read::<u32>().is_err() {
    ///         client.drop_message("order-7", message.number).await?;
    ///     }
    /// }
    /// client.resume("order-7").await?;
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such message, [`ErrorKind::Conflict`] if it was received or
    /// dropped before.
    pub async fn drop_message(&self, id: &str, number: i64) -> Result<(), Error> {
        self.edit_message(id, number, None).await
    }

    /// Puts another value in the place of a message that waits in a workflow's inbox. It keeps its
    /// number, its key and its turn.
    ///
    /// # Errors
    /// Those of [`drop_message`](Self::drop_message).
    pub async fn replace_message(
        &self,
        id: &str,
        number: i64,
        message: Payload,
    ) -> Result<(), Error> {
        self.edit_message(id, number, Some(message)).await
    }

    async fn edit_message(
        &self,
        id: &str,
        number: i64,
        payload: Option<Payload>,
    ) -> Result<(), Error> {
        let edit = Change::Edit(EditMessage {
            to: WorkflowId::new(id)?,
            number,
            payload,
        });
        let what = format!("change the message {number} of `{id}`");
        match self.request(&what, edit).await? {
            Applied::Edit(Edited::Now) => Ok(()),
            Applied::Edit(Edited::Gone) => Err(Error::new(
                ErrorKind::Conflict,
                format!("the message {number} of `{id}` was received or dropped before"),
            )),
            Applied::Edit(Edited::NoSuchMessage) => Err(Error::new(
                ErrorKind::NotFound,
                format!("there is no message {number} in the inbox of `{id}`"),
            )),
            _ => Err(unexpected("an edit")),
        }
    }
}
