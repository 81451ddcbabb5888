//! The task of one run: it polls the body until it ends or is interrupted, and sees to the end.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, sync::atomic::Ordering};

use futures_util::FutureExt;
use tracing::{debug, error, warn};

use super::Taken;
use crate::{
    BoxFuture,
    error::Fault,
    limits::InvalidInput,
    observe::Observation,
    payload::Payload,
    registry::BodyEnd,
    run::{Interrupt, Run},
    workflow::{End, Record, State},
};

/// How long is waited before a workflow is stuck once more, after that was refused.
const END_AGAIN: std::time::Duration = std::time::Duration::from_secs(1);

/// How long after a deadline that the row takes to be ahead it is looked at again.
const LATE_AGAIN: std::time::Duration = std::time::Duration::from_secs(1);

/// What there may be to replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Past {
    /// Nothing: the workflow was just made.
    None,
    /// Records.
    Recorded,
}

/// Drives a run to its end.
pub(super) async fn drive(run: Arc<Run>, input: Payload, past: Past) {
    let over = Over(Arc::clone(&run));
    let driven = AssertUnwindSafe(drive_once(&run, &input, past));
    let interrupt = match driven.catch_unwind().await {
        Ok(interrupt) => interrupt,
        // The body has a guard of its own; without this one, what panics beside it would leave a row
        // that says `running` and that nobody runs.
        Err(panic) => {
            let message = panic_message(panic.as_ref());
            let reason = format!("code that runs beside the workflow's body panicked: {message}");
            see_to(&run, End::Stuck { reason }).await;
            Interrupt::Lost
        }
    };
    debug!(workflow = %run.id, ?interrupt, "the run is over");
    if !matches!(interrupt, Interrupt::Lost | Interrupt::HandedBack) {
        // The next run here reads its history when this one is over: what was handed in and is not on disk
        // by then would run again.
        run.written().await;
    }
    drop(over);
    if interrupt == Interrupt::Reload {
        // Its history is complete on disk: a new run answers from there.
        let taken = (Past::Recorded, Taken::Owned);
        run.engine.spawn(run.again(), input, taken);
    }
}

/// Says that a run is over, whatever happens to its task.
struct Over(Arc<Run>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.engine.forget(&self.0);
        self.0.over.cancel();
    }
}

/// Runs the body once. What it returns is why it is over; `Lost` when it simply has ended.
async fn drive_once(run: &Arc<Run>, input: &Payload, past: Past) -> Interrupt {
    if past == Past::Recorded
        && let Err(interrupt) = load(run).await
    {
        let Interrupt::Stuck(reason) = interrupt else {
            return interrupt;
        };
        see_to(run, End::Stuck { reason }).await;
        return Interrupt::Lost;
    }
    let Some(known) = run.engine.registry.get(&run.name) else {
        let reason = format!("this application does not know the workflow `{}`", run.name);
        see_to(run, End::Stuck { reason }).await;
        return Interrupt::Lost;
    };
    if past == Past::None {
        run.engine.client.observe(&Observation::Begun {
            name: &run.name,
            origin: run.origin.as_deref(),
            waited: run.age(),
        });
    }
    let end = match (known.run)(Arc::clone(run), input) {
        Ok(body) => poll(run, body).await,
        Err(reason) => Err(Interrupt::Stuck(reason)),
    };
    let end = match end {
        Ok(end) => end,
        Err(Interrupt::Stuck(reason)) => End::Stuck { reason },
        Err(Interrupt::Panicked(message)) => panicked(run, &message),
        Err(interrupt) => return interrupt,
    };
    see_to(run, end).await;
    Interrupt::Lost
}

/// Reads what was recorded. The database may be away: it is asked until it answers.
async fn load(run: &Arc<Run>) -> Result<(), Interrupt> {
    let mut pause = std::time::Duration::from_millis(50);
    loop {
        match run.engine.client.records(run.key).await {
            Ok(records) => {
                // What it stands for is not known here: this version must not go on beside it.
                if let Some(reason) = records.iter().find_map(Record::of_newer_version) {
                    return Err(Interrupt::Stuck(reason));
                }
                run.history(|history| history.load(records));
                return Ok(());
            }
            Err(error) => warn!(workflow = %run.id, %error, "could not read the history"),
        }
        tokio::select! {
            interrupt = run.control.interruption(|| {}) => return Err(interrupt),
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(std::time::Duration::from_secs(5)),
        }
    }
}

/// Polls the body until it ends, or the run is interrupted: then the body is dropped.
async fn poll(run: &Arc<Run>, body: BoxFuture<'static, BodyEnd>) -> Result<End, Interrupt> {
    let mut body = AssertUnwindSafe(body).catch_unwind().boxed();
    let ended = tokio::select! {
        biased;
        interrupt = interruption(run) => {
            if interrupt == Interrupt::Cancelled {
                run.observe_end(State::Cancelled);
            }
            if matches!(interrupt, Interrupt::Cancelled | Interrupt::Superseded) {
                let_steps_end(run, &mut body).await;
            }
            Err(interrupt)
        }
        ended = &mut body => Ok(ended),
    };
    drop_quietly(run, body);
    match ended? {
        Ok(end) => ended_by_itself(run, end),
        Err(panic) => Ok(panicked(run, &panic_message(panic.as_ref()))),
    }
}

/// An interrupt, or the deadline, which becomes one.
async fn interruption(run: &Arc<Run>) -> Interrupt {
    // Here no poll of the body is on its way.
    let park = || run.park_if_idle();
    let Some(deadline) = run.deadline_at else {
        return run.control.interruption(park).await;
    };
    tokio::select! {
        interrupt = run.control.interruption(park) => interrupt,
        // Boxed: every run would have room for it, and few have a deadline.
        never = Box::pin(cancel_at(run, deadline)) => match never {},
    }
}

/// Cancels the run at its deadline. Never returns: what comes of it interrupts the run.
async fn cancel_at(run: &Arc<Run>, deadline: jiff::Timestamp) -> std::convert::Infallible {
    loop {
        run.engine.wait_until(deadline).await;
        run.cancel_at_deadline().await;
        // The row says that it is ahead: the store's clock was put back since, or somebody resumed
        // the workflow without its deadline.
        tokio::time::sleep(LATE_AGAIN).await;
    }
}

/// Gives a cancelled run's steps their grace period. The body cannot go beyond them: every
/// operation of an interrupted run waits for ever.
async fn let_steps_end<F: Future + Unpin>(run: &Arc<Run>, body: &mut F) {
    run.step_cancel.cancel();
    tokio::select! {
        biased;
        () = steps_ended(run) => {}
        _ = body => {}
        () = tokio::time::sleep(run.engine.config.grace) => {
            warn!(workflow = %run.id, "a step went on after its cancellation and was dropped");
        }
    }
}

/// Returns when neither a step nor a transaction of the run is running.
pub(super) async fn steps_ended(run: &Run) {
    loop {
        let ended = run.step_ended.notified();
        if run.steps.load(Ordering::SeqCst) == 0 {
            return;
        }
        ended.await;
    }
}

/// Drops what the user's code left; a panic in a destructor must not take the run's end with it.
fn drop_quietly<T>(run: &Run, body: T) {
    let dropped = std::panic::catch_unwind(AssertUnwindSafe(|| drop(body)));
    if let Err(panic) = dropped {
        let message = panic_message(panic.as_ref());
        error!(workflow = %run.id, panic = message, "a destructor of the workflow panicked");
    }
}

fn ended_by_itself(run: &Run, end: BodyEnd) -> Result<End, Interrupt> {
    // The body may have ended in the same moment in which it was interrupted.
    if let Some(interrupt) = run.control.interrupted() {
        return Err(interrupt);
    }
    if let Some(unvisited) = run.history(|history| history.first_unvisited()) {
        return Err(Interrupt::Stuck(run.not_deterministic(&unvisited)));
    }
    match end {
        Ok(Ok(output)) => Ok(End::Succeeded(output)),
        Ok(Err(failed)) if is_answer(run.origin.as_deref(), failed.status) => Ok(End::Declined {
            error: failed.fault,
            fingerprint: failed.fingerprint,
            reason: failed.reason,
        }),
        Ok(Err(failed)) => Ok(End::Failed {
            error: failed.fault,
            fingerprint: failed.fingerprint,
            reason: failed.reason,
        }),
        Err(invalid) => Err(Interrupt::Stuck(format!(
            "its result cannot be stored: {invalid}"
        ))),
    }
}

/// Whether an error tells a client what is wrong with its request (a declined card, a conflict), and there
/// is one to be told: the workflow came from a route (`POST /pay`).
fn is_answer(origin: Option<&str>, status: Option<u16>) -> bool {
    let of_client = status.is_some_and(|status| (400..500).contains(&status));
    let route = origin.and_then(|origin| origin.split_once(" /"));
    of_client && route.is_some_and(|(method, _)| method.bytes().all(|b| b.is_ascii_uppercase()))
}

fn panicked(run: &Run, message: &str) -> End {
    error!(workflow = %run.id, name = run.name, panic = message, "the workflow panicked");
    let message: String = message.chars().take(10_000).collect();
    let fault = Fault::<()>::Panicked(message.clone());
    End::Failed {
        error: Payload::of_ours(&fault).unwrap_or_else(|_: InvalidInput| Payload::null()),
        fingerprint: crate::registry::fingerprint("panic", &message),
        reason: crate::registry::shortened(&format!("panicked: {message}")),
    }
}

/// Writes the end and waits until it is on disk, or the workflow is not this executor's any more: a
/// run is forgotten only then.
async fn see_to(run: &Arc<Run>, end: End) {
    if let End::Stuck { reason } = &end {
        error!(workflow = %run.id, reason, "the workflow is stuck");
        // If something was refused before, this end is what comes of it.
        drop(run.take_refusal());
    }
    run.finish(end);
    run.written().await;
    let mut tries = 0;
    // The end, or what was handed in before it, was refused for good.
    while let Some(reason) = run.take_refusal() {
        error!(workflow = %run.id, reason, "the workflow is stuck");
        if tries > 0 {
            tokio::time::sleep(END_AGAIN).await;
        }
        tries += 1;
        let end = End::Stuck { reason };
        match tries {
            1 => run.finish(end),
            // Perhaps it is what is started with it that is refused.
            _ => run.finish_with(end, Vec::new()),
        }
        run.written().await;
    }
}

/// What a panic says.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&'static str>()
        .map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::is_answer;

    #[test]
    fn only_a_clients_status_to_a_request_is_an_answer() {
        for (origin, status, expected) in [
            (Some("POST /pay"), Some(402), true),
            (Some("PUT /orders/{id}"), Some(499), true),
            (Some("POST /pay"), Some(500), false),
            (Some("POST /pay"), Some(399), false),
            (Some("POST /pay"), None, false),
            (Some("stripe"), Some(402), false),
            (Some("my shop /pay"), Some(402), false),
            (None, Some(402), false),
        ] {
            assert_eq!(is_answer(origin, status), expected, "{origin:?} {status:?}");
        }
    }
}
