//! Races: several operations at once, the first to be ready wins. The winner's change and its number
//! are committed together; the losers are dropped and commit nothing.

mod gate;

use std::task::Poll;

pub(crate) use gate::{Gate, Raced};

use super::{Here, Op, Ready, Slot};
use crate::{
    BoxFuture,
    payload::Payload,
    workflow::{Outcome, RecordKind},
};

/// A tuple of two to eight operations, of which the first to be ready wins.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be raced in a workflow with state `{S}`",
    note = "race a tuple of two to eight operations, or write `stepwell::select!(ctx, a = op => …, b = op => …)`"
)]
pub trait RaceOps<S>: Send {
    /// Which one won, with its output.
    type Output: Send;

    /// Does everything but the commit.
    #[doc(hidden)]
    fn race<'a>(self, at: Slot<S>) -> BoxFuture<'a, Ready<Self::Output>>
    where
        Self: 'a;
}

macro_rules! race {
    ($race:ident, $members:literal; $($member:ident $number:tt),*) => {
        /// Which member of a race won, with its output.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the variants are the members, in their order")]
        pub enum $race<$($member),*> {
            $($member($member)),*
        }

        impl<S: Send + Sync + 'static, $($member: Op<S>),*> RaceOps<S> for ($($member,)*) {
            type Output = $race<$($member::Output),*>;

            #[allow(non_snake_case, reason = "a member's future has the member's name")]
            fn race<'a>(self, at: Slot<S>) -> BoxFuture<'a, Ready<Self::Output>>
            where
                Self: 'a,
            {
                Box::pin(async move {
                    let here = Here::from(&at);
                    let at = at.of_members();
                    if let Some(winner) = won(&here, $members).await {
                        return match winner {
                            $($number => self.$number.ready(at.child($number)).await.map($race::$member),)*
                            other => here.stuck("race", &format!("its member {other} won before and is gone now")).await,
                        };
                    }
                    let witnessed = [$(self.$number.leaves_witness()),*];
                    let gate = witnessed
                        .contains(&true)
                        .then(|| Gate::new(&here.position, at.race.as_ref()));
                    $(let mut $member = self.$number.ready(at.member($number, gate.as_ref()));)*
                    // In their order, so that of two that are ready at once the first one wins.
                    let (number, ready) = std::future::poll_fn(|cx| {
                        $(if let Poll::Ready(ready) = $member.as_mut().poll(cx) {
                            return Poll::Ready(($number, ready.map($race::$member)));
                        })*
                        Poll::Pending
                    })
                    .await;
                    // What a transaction has changed, it has changed: before it can lose, it comes to
                    // its end, and if that was the commit, it wins.
                    let (number, ready) = match gate.filter(|_| !ready.is_binding()) {
                        None => (number, ready),
                        Some(gate) => {
                            gate.decide();
                            let committed = std::future::poll_fn(|cx| {
                                let mut waits = false;
                                $(if $number != number && witnessed[$number] && !gate.has_lost($number) {
                                    match $member.as_mut().poll(cx) {
                                        Poll::Ready(other) if other.is_binding() => {
                                            return Poll::Ready(Some(($number, other.map($race::$member))));
                                        }
                                        Poll::Ready(_) => gate.note_lost($number),
                                        Poll::Pending => waits |= !gate.has_lost($number),
                                    }
                                })*
                                if waits { Poll::Pending } else { Poll::Ready(None) }
                            })
                            .await;
                            committed.unwrap_or((number, ready))
                        }
                    };
                    let lost = here.run.drop_losers(($($member,)*));
                    here.run.sent_commits_ended().await;
                    let won = win(&here, number, $members, ready).await;
                    won.and_cancel(lost.children())
                })
            }
        }
    };
}

race!(Race2, 2; A 0, B 1);
race!(Race3, 3; A 0, B 1, C 2);
race!(Race4, 4; A 0, B 1, C 2, D 3);
race!(Race5, 5; A 0, B 1, C 2, D 3, E 4);
race!(Race6, 6; A 0, B 1, C 2, D 3, E 4, F 5);
race!(Race7, 7; A 0, B 1, C 2, D 3, E 4, F 5, G 6);
race!(Race8, 8; A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);

/// The number of the member that won before, if the race was recorded.
async fn won(here: &Here, members: u32) -> Option<u32> {
    let winner = here.recorded_value(RecordKind::Race, "").await?;
    here.run
        .history(|history| history.settle_race(&here.position.of_members(), winner, members));
    Some(winner)
}

/// Adds the winner's number to the winner's change.
async fn win<T>(here: &Here, winner: u32, members: u32, ready: Ready<T>) -> Ready<T> {
    here.run
        .history(|history| history.settle_race(&here.position.of_members(), winner, members));
    let value = here.stored("race", Payload::of_ours(&winner)).await;
    ready.and_record(here.record(RecordKind::Race, "", Outcome::Ok(value)))
}
