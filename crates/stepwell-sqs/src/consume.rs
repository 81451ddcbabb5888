//! Receive, accept, delete.

use std::{convert::Infallible, time::Duration};

use futures_util::{FutureExt, StreamExt, future::join_all, stream::FuturesUnordered};
use stepwell_core::Workflow;
use stepwell_events::{Delivery, Intake, Stopping, Taken};
use tokio::sync::mpsc;

use crate::{
    Sqs,
    in_work::{Held, InWork, Room},
    lag::watch,
    message::Received,
    requests::{MESSAGES_MAX, Trouble, delete, receive},
    sqs::Delete,
};

/// The first and the longest pause after a request has failed.
const AFTER_ERROR: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// Consumes until the application stops. What is not deleted by then appears again, here or elsewhere, and
/// finds its workflow.
pub(crate) async fn consume<W: Workflow>(sqs: Sqs, intake: Intake<W>) {
    let in_work = InWork::new(sqs.in_work);
    let (follow, followed) = mpsc::unbounded_channel();
    let receivers = (0..sqs.receivers).map(|_| {
        let receiver = Receiver {
            sqs: &sqs,
            intake: &intake,
            in_work: &in_work,
            follow: follow.clone(),
        };
        receiver.receive_all()
    });
    tokio::select! {
        _ = join_all(receivers) => {}
        never = delete_succeeded(&sqs, followed) => match never {},
        never = in_work.keep_hidden(&sqs) => match never {},
        never = watch(&sqs, &intake) => match never {},
    }
}

/// A message whose workflow's start is durable.
struct Accepted<'a, W> {
    held: Held<'a>,
    taken: Taken<W>,
}

/// One of the loops that receive messages.
struct Receiver<'a, W: Workflow> {
    sqs: &'a Sqs,
    intake: &'a Intake<W>,
    in_work: &'a InWork,
    /// Holds no more than there is room for in work.
    follow: mpsc::UnboundedSender<Accepted<'a, W>>,
}

impl<'a, W: Workflow> Receiver<'a, W> {
    async fn receive_all(self) -> Stopping {
        let mut pause = AFTER_ERROR.0;
        loop {
            let received = tokio::select! {
                biased;
                () = self.intake.stopping() => return Stopping,
                received = self.receive() => received,
            };
            match received {
                Ok((received, room)) => {
                    pause = AFTER_ERROR.0;
                    if let Err(stopping) = self.process(received, room).await {
                        return stopping;
                    }
                }
                Err(Trouble) => {
                    tokio::select! {
                        () = self.intake.stopping() => return Stopping,
                        () = tokio::time::sleep(pause) => {}
                    }
                    pause = (pause * 2).min(AFTER_ERROR.1);
                }
            }
        }
    }

    async fn receive(&self) -> Result<(Vec<Received>, Room<'a>), Trouble> {
        let room = self.in_work.room().await;
        let received = receive(self.sqs, room.num_permits()).await?;
        Ok((received, room))
    }

    /// Accepts messages, and deletes them or has them followed.
    async fn process(&self, received: Vec<Received>, mut room: Room<'a>) -> Result<(), Stopping> {
        let (deliveries, held): (Vec<Delivery>, Vec<Held<'_>>) = received
            .into_iter()
            // No more come than the request said that there is room for.
            .filter_map(|received| {
                let held = self.in_work.hold(received.receipt, room.split(1)?);
                Some((received.delivery, held))
            })
            .unzip();
        drop(room);
        if deliveries.is_empty() {
            return Ok(());
        }
        // While a queue has no room this takes long: the messages stay hidden, and SQS counts no further
        // delivery of them.
        let taken = self.intake.accept_all(&deliveries).await?;
        match self.sqs.delete {
            Delete::WhenStarted => delete(self.sqs, receipts(&held)).await,
            Delete::WhenSucceeded => {
                for (held, taken) in held.into_iter().zip(taken) {
                    // Fails when all are about to stop.
                    let _ = self.follow.send(Accepted { held, taken });
                }
            }
        }
        Ok(())
    }
}

/// Deletes each message when its workflow has succeeded. Those of others show again in their time.
async fn delete_succeeded<W: Workflow>(
    sqs: &Sqs,
    mut accepted: mpsc::UnboundedReceiver<Accepted<'_, W>>,
) -> Infallible {
    let mut ends = FuturesUnordered::new();
    let mut deletions = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(accepted) = accepted.recv() => ends.push(succeeded(accepted)),
            Some(first) = ends.next() => {
                let mut ended = vec![first];
                while ended.len() < MESSAGES_MAX
                    && let Some(Some(next)) = ends.next().now_or_never()
                {
                    ended.push(next);
                }
                let succeeded: Vec<Held<'_>> = ended.into_iter().flatten().collect();
                deletions.push(async move { delete(sqs, receipts(&succeeded)).await });
            }
            Some(()) = deletions.next() => {}
            else => std::future::pending().await,
        }
    }
}

/// The message if it has done its duty: poison has, since it is kept.
async fn succeeded<W: Workflow>(accepted: Accepted<'_, W>) -> Option<Held<'_>> {
    let succeeded = match accepted.taken {
        Taken::Started(handle) | Taken::Duplicate(handle) => handle.result().await.is_ok(),
        Taken::Poison { .. } => true,
    };
    succeeded.then_some(accepted.held)
}

fn receipts<'a>(held: &'a [Held<'_>]) -> impl Iterator<Item = &'a str> {
    held.iter().map(|held| &*held.receipt)
}
