//! A commit that was sent goes on, whatever becomes of the operation that has sent it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use crate::{
    BoxFuture,
    run::Run,
    tx::{Committed, TxError},
};

/// A commit on its way to the user's database.
///
/// A branch that loses its race is dropped where it stands. A commit that is dropped half way may still
/// happen, at any time: after the workflow has looked at what it thinks is the end of it. So it is
/// brought to its end, and the race waits for that ([`Run::sent_commits_ended`]). Not in a run that is
/// interrupted: it goes no further, and whoever goes on with the workflow asks for the witness.
pub(super) struct Sent {
    run: Arc<Run>,
    commit: Option<BoxFuture<'static, Result<Committed, TxError>>>,
}

impl Sent {
    pub(super) fn new(
        run: &Arc<Run>,
        commit: BoxFuture<'static, Result<Committed, TxError>>,
    ) -> Self {
        Self {
            run: Arc::clone(run),
            commit: Some(commit),
        }
    }
}

impl Future for Sent {
    type Output = Result<Committed, TxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(commit) = &mut self.commit else {
            return Poll::Pending;
        };
        let answer = commit.as_mut().poll(cx);
        if answer.is_ready() {
            self.commit = None;
        }
        answer
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        if let Some(commit) = self.commit.take()
            && self.run.control.interrupted().is_none()
        {
            self.run.end_commit(Box::pin(async move {
                if let Err(error) = commit.await {
                    tracing::warn!(%error, "a commit that nobody waited for was not answered");
                }
            }));
        }
    }
}
