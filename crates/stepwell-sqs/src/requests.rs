//! Requests to SQS, each answered in a bounded time.

use std::{error::Error, fmt, iter::successors, time::Duration};

use aws_sdk_sqs::{
    error::{ProvideErrorMetadata, SdkError},
    types::{
        BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry,
        DeleteMessageBatchRequestEntry, MessageSystemAttributeName,
    },
};
use tracing::warn;

use crate::{Sqs, message::Received, sqs::Delete};

/// How many messages a request brings or names at most: SQS's own limit.
pub(crate) const MESSAGES_MAX: usize = 10;
/// How long a request waits for a message: SQS's own limit.
const WAIT_S: i32 = 20;
/// How long a message is hidden from other receivers each time.
const HIDDEN_S: i32 = 60;
/// The time that SQS has to answer, beside what it is asked to wait. The client itself waits for ever where a
/// connection has fallen silent.
pub(crate) const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// A request failed; the log says how.
#[derive(Debug)]
pub(crate) struct Trouble;

/// Waits for messages, and brings as many as there is room for.
pub(crate) async fn receive(sqs: &Sqs, room: usize) -> Result<Vec<Received>, Trouble> {
    let messages_max = i32::try_from(room.min(MESSAGES_MAX)).unwrap_or(1);
    let request = sqs
        .client
        .receive_message()
        .queue_url(&sqs.queue_url)
        .max_number_of_messages(messages_max)
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

/// Deletes at most ten messages. What could not be deleted comes again, and finds its workflow.
pub(crate) async fn delete(sqs: &Sqs, receipts: impl IntoIterator<Item = &str>) {
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
    let answer = in_time(ANSWERS_WITHIN, request).await;
    heed(sqs, "delete", answer.map(|answer| answer.failed));
}

/// Hides at most ten messages for another minute.
pub(crate) async fn hide(sqs: &Sqs, receipts: impl IntoIterator<Item = &str>) {
    let entries = receipts.into_iter().enumerate().map(|(index, receipt)| {
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
    let answer = in_time(ANSWERS_WITHIN, request.send()).await;
    heed(sqs, "hide", answer.map(|answer| answer.failed));
}

/// Reports what SQS has not done.
fn heed(sqs: &Sqs, what: &str, failed: Result<Vec<BatchResultErrorEntry>, String>) {
    match failed {
        Ok(failed) => {
            for failed in failed {
                report(sqs, what, failed.code);
            }
        }
        Err(error) => report(sqs, what, error),
    }
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
