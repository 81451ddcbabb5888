//! Commits in the user's database that were sent, and whose operation was dropped.

use std::sync::Arc;

use super::Run;
use crate::BoxFuture;

impl Run {
    /// Brings a commit to its end that was dropped half way. The end of the process cuts it short, as a
    /// crash does: whoever goes on with the workflow asks for its witness.
    pub(crate) fn end_commit(self: &Arc<Self>, commit: BoxFuture<'static, ()>) {
        if tokio::runtime::Handle::try_current().is_err() || self.engine.stopped.is_cancelled() {
            return;
        }
        self.sent_commits.send_modify(|count| *count += 1);
        let run = Arc::clone(self);
        self.engine.spawn_task(async move {
            tokio::select! {
                () = commit => {}
                () = run.engine.stopped.cancelled() => {}
            }
            run.sent_commits
                .send_modify(|count| *count = count.saturating_sub(1));
        });
    }

    /// Returns when no commit is on its way any more whose operation was dropped.
    pub(crate) async fn sent_commits_ended(&self) {
        if *self.sent_commits.borrow() > 0 {
            let mut commits = self.sent_commits.subscribe();
            // The sender lives as long as the run: waiting cannot fail.
            drop(commits.wait_for(|count| *count == 0).await);
        }
    }
}
