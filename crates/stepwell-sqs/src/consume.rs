//! Receive, accept, delete.

use std::{error::Error, fmt, iter::successors, time::Duration};

use aws_sdk_sqs::{
    error::{ProvideErrorMetadata, SdkError},
    types::{
        ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
        MessageSystemAttributeName,
    },
};
use futures_util::{StreamExt, future::join_all, stream::FuturesUnordered};
use stepwell_core::Workflow;
use stepwell_events::{Delivery, Intake, Taken};
use tracing::warn;

use crate::{Sqs, lag::watch, message::Received, sqs::Delete};

/// How many messages a request brings at most: SQS's own limit.
const MESSAGES_MAX: i32 = 10;
/// How long a request waits for a message: SQS's own limit.
const WAIT_S: i32 = 20;
/// How long a message is hidden from others whose workflow is waited for, and how often that is renewed.
const HIDDEN_S: i32 = 60;
const HIDE_AGAIN: Duration = Duration::from_secs(20);
/// The time that SQS has to answer, beside what it is asked to wait. The client itself waits for ever where a
/// connection has fallen silent.
pub(crate) const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// The first and the longest pause after a request has failed.
const AFTER_ERROR: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// Consumes until the application stops.
pub(crate) async fn consume<W: Workflow>(sqs: Sqs, intake: Intake<W>) {
    let receivers = (0..sqs.receivers).map(|_| receive_all(&sqs, &intake));
    tokio::join!(join_all(receivers), watch(&sqs, &intake));
}

async fn receive_all<W: Workflow>(sqs: &Sqs, intake: &Intake<W>) {
    let mut pause = AFTER_ERROR.0;
    loop {
        let received = tokio::select! {
            biased;
            () = intake.stopping() => return,
            received = receive(sqs) => received,
        };
        let done = match received {
            Ok(received) => {
                pause = AFTER_ERROR.0;
                process(sqs, intake, received).await
            }
            Err(Trouble) => {
                let done = rest(intake, pause).await;
                pause = (pause * 2).min(AFTER_ERROR.1);
                done
            }
        };
        if done == Done::Stopping {
            return;
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    GoOn,
    Stopping,
}

/// A request failed; the log says how.
#[derive(Debug)]
struct Trouble;

async fn rest<W: Workflow>(intake: &Intake<W>, pause: Duration) -> Done {
    tokio::select! {
        () = intake.stopping() => Done::Stopping,
        () = tokio::time::sleep(pause) => Done::GoOn,
    }
}

async fn receive(sqs: &Sqs) -> Result<Vec<Received>, Trouble> {
    let request = sqs
        .client
        .receive_message()
        .queue_url(&sqs.queue_url)
        .max_number_of_messages(MESSAGES_MAX)
        .wait_time_seconds(WAIT_S)
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .message_attribute_names("All");
    let request = match sqs.delete {
        Delete::WhenStarted => request,
        Delete::WhenSucceeded => request.visibility_timeout(HIDDEN_S),
    };
    let within = Duration::from_secs(WAIT_S.unsigned_abs().into()) + ANSWERS_WITHIN;
    let answer = in_time(within, request.send()).await;
    let answer = answer.map_err(|error| {
        report(sqs, "receive", error);
        Trouble
    })?;
    let messages = answer.messages().iter();
    Ok(messages
        .filter_map(|message| Received::read(sqs, message))
        .collect())
}

fn report(sqs: &Sqs, what: &str, error: impl fmt::Display) {
    warn!(
        source = sqs.source,
        error = error.to_string(),
        "could not {what} messages"
    );
}

/// The answer to a request, or in a line why there is none. Without an answer in time the connection is
/// taken for broken.
pub(crate) async fn in_time<T, E>(
    limit: Duration,
    request: impl Future<Output = Result<T, SdkError<E>>>,
) -> Result<T, String>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match tokio::time::timeout(limit, request).await {
        Ok(answer) => answer.map_err(|error| in_words(&error)),
        Err(_) => Err(format!("no answer in {} s", limit.as_secs())),
    }
}

/// What went wrong, in a line: SQS's own words, or the causes.
fn in_words<E>(error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    if let (Some(code), Some(message)) = (error.code(), error.message()) {
        return format!("{code}: {message}");
    }
    let causes = successors(Some(error as &dyn Error), |&error| error.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    causes.join(": ")
}

async fn process<W: Workflow>(sqs: &Sqs, intake: &Intake<W>, received: Vec<Received>) -> Done {
    if received.is_empty() {
        return Done::GoOn;
    }
    let (deliveries, receipts): (Vec<Delivery>, Vec<String>) = received
        .into_iter()
        .map(|received| (received.delivery, received.receipt))
        .unzip();
    let Ok(taken) = intake.accept_all(&deliveries).await else {
        return Done::Stopping;
    };
    match sqs.delete {
        Delete::WhenStarted => {
            delete(sqs, receipts).await;
            Done::GoOn
        }
        Delete::WhenSucceeded => follow(sqs, intake, taken, receipts).await,
    }
}

/// Deletes each message when its workflow has succeeded, and hides the others until all have ended.
async fn follow<W: Workflow>(
    sqs: &Sqs,
    intake: &Intake<W>,
    taken: Vec<Taken<W>>,
    receipts: Vec<String>,
) -> Done {
    let mut hidden: Vec<Option<String>> = receipts.into_iter().map(Some).collect();
    let ends = taken.into_iter().enumerate();
    let mut ends: FuturesUnordered<_> = ends
        .map(|(index, taken)| async move { (index, has_succeeded(taken).await) })
        .collect();
    let mut again = tokio::time::interval(HIDE_AGAIN);
    again.reset();
    loop {
        tokio::select! {
            biased;
            // What is not deleted appears again, here or elsewhere, and finds its workflow.
            () = intake.stopping() => return Done::Stopping,
            ended = ends.next() => match ended {
                None => return Done::GoOn,
                Some((index, succeeded)) => {
                    let receipt = hidden[index].take();
                    if succeeded {
                        delete(sqs, receipt.into_iter().collect()).await;
                    }
                }
            },
            _ = again.tick() => hide(sqs, hidden.iter().flatten()).await,
        }
    }
}

/// Whether the message has done its duty: poison has, since it is kept.
async fn has_succeeded<W: Workflow>(taken: Taken<W>) -> bool {
    match taken {
        Taken::Started(handle) | Taken::Duplicate(handle) => handle.result().await.is_ok(),
        Taken::Poison { .. } => true,
    }
}

/// What could not be deleted comes again, and finds its workflow.
async fn delete(sqs: &Sqs, receipts: Vec<String>) {
    let entries = receipts.into_iter().enumerate().map(|(index, receipt)| {
        DeleteMessageBatchRequestEntry::builder()
            .id(index.to_string())
            .receipt_handle(receipt)
            .build()
    });
    let entries = match entries.collect::<Result<Vec<_>, _>>() {
        Ok(entries) if entries.is_empty() => return,
        Ok(entries) => entries,
        Err(error) => return report(sqs, "delete", error),
    };
    let request = sqs.client.delete_message_batch().queue_url(&sqs.queue_url);
    let request = request.set_entries(Some(entries)).send();
    match in_time(ANSWERS_WITHIN, request).await {
        Ok(answer) => {
            for failed in answer.failed() {
                report(sqs, "delete", failed.code());
            }
        }
        Err(error) => report(sqs, "delete", error),
    }
}

async fn hide(sqs: &Sqs, receipts: impl Iterator<Item = &String>) {
    let entries = receipts.enumerate().map(|(index, receipt)| {
        ChangeMessageVisibilityBatchRequestEntry::builder()
            .id(index.to_string())
            .receipt_handle(receipt)
            .visibility_timeout(HIDDEN_S)
            .build()
    });
    let entries = match entries.collect::<Result<Vec<_>, _>>() {
        Ok(entries) => entries,
        Err(error) => return report(sqs, "hide", error),
    };
    let request = sqs.client.change_message_visibility_batch();
    let request = request.queue_url(&sqs.queue_url).set_entries(Some(entries));
    match in_time(ANSWERS_WITHIN, request.send()).await {
        Ok(answer) => {
            for failed in answer.failed() {
                report(sqs, "hide", failed.code());
            }
        }
        Err(error) => report(sqs, "hide", error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_sqs::{
        config::http::HttpResponse, error::ErrorMetadata,
        operation::receive_message::ReceiveMessageError,
    };

    type Failed = SdkError<ReceiveMessageError, HttpResponse>;

    #[tokio::test(start_paused = true)]
    async fn a_request_without_an_answer_ends() {
        let silent = std::future::pending::<Result<(), Failed>>();
        let said = in_time(ANSWERS_WITHIN, silent).await.unwrap_err();
        assert_eq!(said, "no answer in 10 s");
    }

    #[test]
    fn an_error_is_one_line() {
        let metadata = ErrorMetadata::builder()
            .code("QueueDoesNotExist")
            .message("The specified queue does not exist.");
        let refused = ReceiveMessageError::generic(metadata.build());
        let response = HttpResponse::new(400.try_into().unwrap(), "".into());
        let refused = Failed::service_error(refused, response);
        assert_eq!(
            in_words(&refused),
            "QueueDoesNotExist: The specified queue does not exist."
        );
        let late = Failed::timeout_error("nobody answers");
        assert!(in_words(&late).ends_with(": nobody answers"), "{late:?}");
    }
}
