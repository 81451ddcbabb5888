//! The workflow that tries many dead letters again.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};

use super::{PROGRESS, REDRIVE, Redrive, RedriveFrom, Redriven, pace::Pace};
use crate::{
    BoxFuture, Timestamp,
    client::Client,
    ctx::Ctx,
    durable::{Result, Workflow},
    error::{Error, ErrorKind},
    failure::Failure,
    id::WorkflowKey,
    op::retry::Retry,
    registry::Registration,
    schedule::Schedule,
    store::Filter,
    workflow::State,
};

/// How many letters of a page are on their way at once; the journal writes them together.
const AT_ONCE: usize = 64;

/// The workflow `stepwell.redrive`: tries dead letters again, at the rate that it was given.
///
/// Started by [`Client::redrive_all`]. It is stopped by cancelling it, and resumed like any other:
/// it goes on behind the last letter. After a crash it tries no letter twice.
#[expect(non_camel_case_types, reason = "workflows are named like functions")]
#[derive(Debug, Clone, Copy)]
pub struct redrive;

inventory::submit! { Registration::of::<redrive>() }

impl Workflow for redrive {
    const NAME: &'static str = "stepwell.redrive";
    const SCHEDULE: Option<Schedule> = None;
    type State = ();
    type Args = (Redrive,);
    type Output = Redriven;
    type Error = Failure;

    fn run<'a>(ctx: &'a mut Ctx, (job,): (Redrive,)) -> BoxFuture<'a, Result<Redriven>> {
        Box::pin(run(ctx, job))
    }
}

/// A letter that is next.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Letter {
    key: WorkflowKey,
    id: String,
    state: State,
}

/// What is next, and how the last ones fared.
#[derive(Debug, Serialize, Deserialize)]
struct Page {
    letters: Vec<Letter>,
    failed_again: u32,
}

/// The letters are chosen in one step and tried again in the next. A crash in the second finds them
/// by the ids that the first recorded, and what was started for them by the ids that these make.
async fn run(ctx: &mut Ctx, job: Redrive) -> Result<Redriven> {
    let pace = Pace::of(job.rate);
    let work = Work {
        client: ctx.client(),
        key: ctx.key(),
        id: ctx.id().to_owned(),
        job,
    };
    let mut done = Redriven::default();
    let mut due = ctx.now().await;
    // Keys count up: what this redrive starts is behind it, and so is whatever fails from now on.
    let mut before = ctx.key();
    loop {
        let size = work.next_size(pace.page, &done);
        let page = ctx
            .step("choose", || work.choose(before, size))
            .retry(patience())
            .await?;
        done.failed_again = page.failed_again;
        done.stopped = work.stops(&done, size);
        let Some(last) = page.letters.last().filter(|_| done.stopped.is_none()) else {
            break;
        };
        before = last.key;
        let letters = &page.letters;
        let count = ctx
            .step("redrive", || work.redrive(letters))
            .retry(patience())
            .await?;
        done.redriven += count;
        done.skipped += (letters.len() as u64).saturating_sub(count);
        ctx.set_event(PROGRESS, done.clone()).await;
        let now = ctx.now().await;
        due = next_due(due, pace.pause, now);
        ctx.run(crate::sleep(due.duration_since(now).unsigned_abs()))
            .await;
    }
    ctx.set_event(PROGRESS, done.clone()).await;
    Ok(done)
}

/// When the next page is due. After an outage the pages that were missed are not made up for: the one
/// that it cut short and the next one may come together, never more.
fn next_due(last: Timestamp, pause: Duration, now: Timestamp) -> Timestamp {
    last.saturating_add(pause).map_or(now, |due| due.max(now))
}

/// Trouble of the database passes; the redrive is not for its letters to suffer by.
fn patience() -> Retry<Failure> {
    Retry::times(u32::MAX).cap(Duration::from_secs(60))
}

struct Work {
    client: Client,
    key: WorkflowKey,
    id: String,
    job: Redrive,
}

impl Work {
    fn next_size(&self, page: u32, done: &Redriven) -> u32 {
        let left = self
            .job
            .letters_max
            .map(|most| most.saturating_sub(done.redriven));
        left.map_or(page, |left| page.min(u32::try_from(left).unwrap_or(page)))
    }

    /// Why it goes no further.
    fn stops(&self, done: &Redriven, size: u32) -> Option<String> {
        if let Some(most) = self
            .job
            .failures_max
            .filter(|most| done.failed_again > *most)
        {
            return Some(format!(
                "more than {most} of the {} that were redriven have failed again",
                done.redriven
            ));
        }
        let most = self.job.letters_max.filter(|_| size == 0)?;
        Some(format!("{most} were redriven, as many as were asked for"))
    }

    async fn choose(&self, before: WorkflowKey, size: u32) -> Result<Page> {
        let letters = match size {
            // A list of none would be a list of a hundred.
            0 => Vec::new(),
            limit => {
                let filter = Filter {
                    before: Some(before),
                    limit,
                    ..self.job.filter()
                };
                self.client.list(filter).await?
            }
        };
        let letter = |workflow: crate::store::Workflow| Letter {
            key: workflow.key,
            id: workflow.id.to_string(),
            state: workflow.state,
        };
        Ok(Page {
            letters: letters.into_iter().map(letter).collect(),
            failed_again: self.failed_again().await?,
        })
    }

    /// How many of those that this redrive started are dead letters by now.
    async fn failed_again(&self) -> Result<u32> {
        let Some(most) = self.job.failures_max else {
            return Ok(0);
        };
        let failed = Filter {
            states: vec![State::Failed, State::Stuck, State::Dead],
            attribute: Some((REDRIVE.to_owned(), self.id.clone())),
            limit: most + 1,
            ..Filter::default()
        };
        let failed = self.client.list(failed).await?;
        // What is older was started by a redrive that was deleted, and had the same id.
        let failed = failed.iter().filter(|it| it.key > self.key).count();
        Ok(u32::try_from(failed).unwrap_or(u32::MAX))
    }

    /// Tries letters again. Says how many were; the others are no dead letters any more.
    async fn redrive(&self, letters: &[Letter]) -> Result<u64> {
        let tries: Vec<_> = letters.iter().map(|letter| self.again(letter)).collect();
        let mut tries = stream::iter(tries).buffer_unordered(AT_ONCE);
        let mut count = 0;
        while let Some(redriven) = tries.next().await {
            count += u64::from(redriven?);
        }
        Ok(count)
    }

    async fn again(&self, letter: &Letter) -> Result<bool, Error> {
        // Deleted, and its id used again, since it was chosen: that is another one's letter.
        let there = self.client.get(&letter.id).await?;
        if there.is_none_or(|there| there.key != letter.key) {
            return Ok(false);
        }
        let attributes = vec![(REDRIVE.to_owned(), self.id.clone())];
        let tried = self
            .client
            .redrive_with(&letter.id, self.job.from, None, attributes);
        match tried.await {
            Ok(_) => Ok(true),
            // Before a crash this step may have let it go on, under its own id.
            Err(error) if error.kind() == ErrorKind::Conflict => {
                let goes_on = self.job.from == RedriveFrom::FailedStep;
                Ok(goes_on && letter.state != State::Failed)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}
