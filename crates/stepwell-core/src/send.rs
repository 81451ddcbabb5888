//! [`Sending`]: a message on its way into an inbox, from outside a workflow; and what keeps a step that is
//! tried again from sending twice.

use std::{
    collections::HashMap,
    fmt,
    future::IntoFuture,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{BoxFuture, client::Client, error::Error, limits::InvalidInput, payload::Payload};

/// A message that is sent when this is awaited.
///
/// Each send is a message of its own, also if the database's answer to it is lost and somebody sends
/// again. With a [`key`](Self::key) there is one for each key and receiver. Within a step it has a key by
/// itself: what an attempt has sent, the next attempt does not send again.
///
/// # Errors
/// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is no such workflow,
/// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) if it has ended.
#[must_use = "a send does nothing unless it is awaited"]
pub struct Sending {
    client: Client,
    to: String,
    topic: &'static str,
    message: Result<Payload, InvalidInput>,
    key: Option<String>,
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending")
            .field("to", &self.to)
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl Sending {
    pub(crate) fn new(
        client: Client,
        to: &str,
        topic: &'static str,
        message: Result<Payload, InvalidInput>,
    ) -> Self {
        Self {
            client,
            to: to.to_owned(),
            topic,
            message,
            key: None,
        }
    }

    /// Sends once for each key and receiver: 1 to 255 bytes. What was sent first under a key counts.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}

impl IntoFuture for Sending {
    type Output = Result<(), Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let sent = self
                .client
                .send(&self.to, self.topic, self.message?, self.key);
            sent.await
        })
    }
}

tokio::task_local! {
    /// What the step has sent that runs in this task.
    static SENT: Arc<StepSends>;
}

/// What one attempt of a step has sent.
#[derive(Debug)]
struct StepSends {
    /// What tells the step from all others.
    step: String,
    /// How often the same was sent before.
    counts: Mutex<HashMap<uuid::Uuid, u32>>,
}

/// Runs an attempt of a step, so that what it sends has the same keys in every attempt.
pub(crate) fn in_step<F: Future>(step: String, attempt: F) -> impl Future<Output = F::Output> {
    let sends = StepSends {
        step,
        counts: Mutex::default(),
    };
    SENT.scope(Arc::new(sends), attempt)
}

/// The key of a message that the step of this task sends; none outside a step. The same message has
/// the same key in the next attempt, and a second one that is alike in this attempt has another.
pub(crate) fn key_in_step(to: &str, topic: &str, message: &Payload) -> Option<String> {
    SENT.try_with(|sends| sends.key_of(to, topic, message)).ok()
}

impl StepSends {
    fn key_of(&self, to: &str, topic: &str, message: &Payload) -> String {
        let what = format!("{}\n{to}\n{topic}\n{}", self.step, message.as_str());
        let what = digest(&what);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(what).or_default();
        *count += 1;
        format!("stepwell:{}", digest(&format!("{what}/{count}")))
    }
}

fn digest(text: &str) -> uuid::Uuid {
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn keys(step: &str, messages: &[&str]) -> Vec<Option<String>> {
        let sends = async {
            let key = |message: &&str| key_in_step("order-1", "go", &Payload::text(message));
            messages.iter().map(key).collect()
        };
        in_step(step.to_owned(), sends).await
    }

    #[tokio::test]
    async fn an_attempt_gives_the_same_messages_the_same_keys() {
        let first = keys("7:3", &["a", "a", "b"]).await;
        assert_eq!(
            keys("7:3", &["a", "b", "a"]).await,
            [0, 2, 1].map(|i| first[i].clone())
        );
        assert!(first.iter().all(Option::is_some));
        assert_ne!(first[0], first[1]);
        assert_ne!(keys("7:4", &["a"]).await[0], first[0]);
    }

    #[tokio::test]
    async fn outside_a_step_no_message_has_a_key_by_itself() {
        assert_eq!(key_in_step("order-1", "go", &Payload::null()), None);
    }
}
