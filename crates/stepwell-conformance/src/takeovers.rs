//! Take-overs: the living declare the dead dead, and their work waits for anybody.

use futures_util::future::join_all;
use serde_json::json;
use stepwell_core::{
    State,
    store::{Change, NewExecutor, StoreErrorKind, TakeOver, TakenOver},
};

use crate::{
    Backend,
    fixture::{Case, DAY, LEASE, MINUTE, VERSION, Worker, here, new_executor},
};

/// While everybody is live nothing is taken over.
pub async fn nothing_is_taken_from_the_living(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (one, other) = (case.register().await, case.register().await);
    one.start("order-1").await;
    case.advance(LEASE / 2).await;

    assert_eq!(other.take_over().await, TakenOver::default());
    assert_eq!(case.find("order-1").await.executor, Some(one.id));
}

/// When a lease has ended its executor is dead, and its work waits for anybody.
pub async fn the_work_of_a_dead_executor_waits_for_anybody(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let dead = case.register().await;
    dead.start("order-1").await;
    dead.start("order-2").await;
    case.let_leases_end().await;
    let worker = case.register().await;

    let taken = worker.take_over().await;
    assert_eq!(
        taken,
        TakenOver {
            executors: vec![dead.id],
            workflows: 2,
            more: false
        }
    );
    assert_eq!(case.state("order-1").await, State::Enqueued);
    assert_eq!(
        case.register().await.claim_ids().await,
        ["order-1", "order-2"]
    );
}

/// "Who runs it, or ran it last": until somebody claims it, the row names the dead one.
pub async fn a_workflow_says_who_ran_it_last(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let dead = case.register().await;
    dead.start("order-1").await;
    case.let_leases_end().await;
    case.register().await.take_over().await;

    assert_eq!(case.find("order-1").await.executor, Some(dead.id));
}

/// The dead are declared dead once.
pub async fn a_second_take_over_finds_nothing(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    case.register().await.start("order-1").await;
    case.let_leases_end().await;
    let worker = case.register().await;
    worker.take_over().await;

    assert_eq!(worker.take_over().await, TakenOver::default());
}

/// An executor without work dies too, and loses its lease.
pub async fn an_idle_executor_dies_too(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let idle = case.register().await;
    case.let_leases_end().await;

    let taken = case.register().await.take_over().await;
    assert_eq!((taken.executors, taken.workflows), (vec![idle.id], 0));
}

/// All that are dead are declared dead at once.
pub async fn several_dead_executors_are_taken_over_together(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (one, other) = (case.register().await, case.register().await);
    one.start("order-1").await;
    other.start("order-2").await;
    case.let_leases_end().await;

    let taken = case.register().await.take_over().await;
    assert_eq!(
        (taken.executors.len(), taken.workflows, taken.more),
        (2, 2, false)
    );
}

/// "At most `workflows_max` workflows in one call; call again while `more`."
pub async fn a_take_over_goes_in_bounded_steps(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let dead = case.register().await;
    let starts = (0..5).map(|number| Change::Start(here(&format!("order-{number}"))));
    dead.commit(starts.collect()).await;
    case.let_leases_end().await;
    let worker = case.register().await;

    let mut steps = Vec::new();
    for _ in 0..3 {
        let taken = worker
            .try_take_over(2)
            .await
            .expect("a live executor can take over");
        steps.push((taken.workflows, taken.more));
    }
    assert_eq!(steps, [(2, true), (2, true), (1, false)]);
    assert_eq!(worker.claim(10).await.len(), 5);
}

/// A dead executor is fenced from the first step on, also for what was not handed back yet.
pub async fn a_half_taken_over_executor_is_fenced(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let dead = case.register().await;
    let (_, last) = (dead.start("order-1").await, dead.start("order-2").await);
    case.let_leases_end().await;
    let worker = case.register().await;
    let taken = worker
        .try_take_over(1)
        .await
        .expect("a live executor can take over");
    assert!(taken.more);

    dead.expect_fenced(vec![Change::Finish(dead.finish_of(
        last,
        stepwell_core::End::Succeeded(stepwell_core::Payload::null()),
    ))])
    .await;
    let shown = case.store.executors().await.expect("executors can be read");
    let shown = shown
        .iter()
        .find(|it| it.id == dead.id)
        .expect("it has work");
    assert!(shown.ended_at.is_some());
}

/// What nobody has claimed yet is claimed step by step; what has ended is not taken over.
pub async fn only_running_workflows_are_taken_over(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let dead = case.register().await;
    let done = dead.start("done").await;
    dead.succeed(done, json!(1)).await;
    let stuck = dead.start("stuck").await;
    dead.stick(stuck, "the code changed").await;
    dead.start("cancelled").await;
    case.cancel("cancelled").await;
    dead.start("running").await;
    case.let_leases_end().await;

    assert_eq!(case.register().await.take_over().await.workflows, 1);
    assert_eq!(case.state("done").await, State::Succeeded);
    assert_eq!(case.state("stuck").await, State::Stuck);
    assert_eq!(case.state("cancelled").await, State::Cancelled);
}

/// "Every executor of the same application."
pub async fn another_application_takes_nothing_over(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let dead = case.register_as("shop", "v1").await;
    dead.start("order-1").await;
    case.let_leases_end().await;

    let stranger = case.register_as("back office", "v1").await;
    assert_eq!(stranger.take_over().await, TakenOver::default());
    assert_eq!(case.state("order-1").await, State::Running);
    let heir = case.register_as("shop", "v2").await;
    assert_eq!(heir.take_over().await.executors, [dead.id]);
}

/// Who is dead takes nobody over.
pub async fn a_dead_executor_takes_nothing_over(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let zombie = case.register().await;
    case.let_leases_end().await;
    let worker = case.register().await;
    worker.take_over().await;
    worker.start("order-1").await;
    case.let_leases_end().await;

    let error = zombie.try_take_over(10).await.expect_err("it is dead");
    assert_eq!(error.kind(), StoreErrorKind::Fenced);
    assert_eq!(case.state("order-1").await, State::Running);
}

/// Executors that take over at the same time hand every workflow back once.
pub async fn take_overs_at_once_share_the_work(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let dead = case.register().await;
    let starts = (0..20).map(|number| Change::Start(here(&format!("order-{number}"))));
    dead.commit(starts.collect()).await;
    case.let_leases_end().await;
    let mut heirs = Vec::new();
    for _ in 0..4 {
        heirs.push(case.register().await);
    }

    let taken = join_all(heirs.iter().map(|heir| heir.take_over())).await;
    assert_eq!(
        taken.iter().map(|it| it.workflows).sum::<u32>(),
        20,
        "{taken:?}"
    );
    let claimed = join_all(heirs.iter().map(|heir| heir.claim(100))).await;
    assert_eq!(claimed.iter().map(Vec::len).sum::<usize>(), 20);
}

/// "… or whose process is gone (where the store can see that)": no lease need end.
pub async fn a_gone_process_is_taken_over_at_once(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    if !backend.sees_gone_processes() {
        eprintln!("skipped: this backend declares that it sees no process go");
        return;
    }
    let Some(process) = case.second_process().await else {
        return;
    };
    let gone = process.register().await;
    gone.start("order-1").await;
    let (worker, id) = (case.register().await, gone.id.clone());
    assert_eq!(worker.take_over().await, TakenOver::default());

    drop((gone, process));
    // A store may close behind the drop, on a thread of its own.
    let mut taken = worker.take_over().await;
    while taken.executors.is_empty() {
        tokio::task::yield_now().await;
        taken = worker.take_over().await;
    }
    assert_eq!((taken.executors, taken.workflows), (vec![id], 1));
}

/// Two executors, and how long each may be silent.
async fn with_lease(case: &Case<'_>, lease: std::time::Duration) -> Worker {
    let new = NewExecutor {
        lease,
        ..new_executor("shop", VERSION)
    };
    let id = new.id.clone();
    let registered = case.store.register(new).await;
    registered.expect("an executor can be registered");
    Worker::new(std::sync::Arc::clone(&case.store), id, VERSION)
}

/// A lease is as long as its executor asked for, and nobody is judged by a shorter silence than the
/// judge's own lease.
pub async fn leases_have_lengths_of_their_own(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (patient, hasty) = (
        with_lease(&case, LEASE).await,
        with_lease(&case, LEASE / 4).await,
    );
    case.advance(LEASE / 2).await;

    assert_eq!(patient.take_over().await, TakenOver::default());
    assert_eq!(hasty.take_over().await, TakenOver::default());
    let other = with_lease(&case, LEASE / 4).await;
    assert_eq!(other.take_over().await.executors, [hasty.id]);
    case.advance(LEASE).await;
    other.renew().await;
    assert_eq!(other.take_over().await.executors, [patient.id]);
}

/// Who could not renew is not dead: the database may have been away for everybody.
pub async fn nobody_is_judged_by_time_in_which_the_database_did_not_answer(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let silent = case.register().await;
    case.let_leases_end().await;
    let judge = case.register().await;

    let looks = [LEASE - MINUTE, LEASE].map(|answered_for| TakeOver {
        answered_for,
        ..judge.look(10)
    });
    let [early, late] = looks;
    assert_eq!(judge.take_over_as(early).await, TakenOver::default());
    case.advance(std::time::Duration::ZERO).await;
    assert_eq!(judge.take_over_as(late).await.executors, [silent.id]);
}

/// A question that waits for a lock is answered as of the moment at which it was asked: the others
/// may have waited for the same lock, to renew.
pub async fn a_look_that_waited_judges_as_of_when_it_was_asked(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let silent = case.register().await;
    case.advance(LEASE / 2).await;
    let asked_at = case.now();
    case.advance(LEASE).await;
    let judge = case.register().await;

    let waited = TakeOver {
        at: asked_at,
        ..judge.look(10)
    };
    assert_eq!(judge.take_over_as(waited).await, TakenOver::default());
    case.advance(std::time::Duration::ZERO).await;
    assert_eq!(judge.take_over().await.executors, [silent.id]);
}

/// After the clock was set back a lease lies in a future that does not come for long.
pub async fn a_lease_from_before_the_clock_was_set_back_is_over(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    case.advance(DAY).await;
    let silent = case.register().await;
    case.set_back(DAY).await;
    let (living, judge) = (case.register().await, case.register().await);
    let look = || TakeOver {
        at: case.now(),
        ..judge.look(10)
    };

    let early = TakeOver {
        // It has not heard of it yet.
        at: case.now() + DAY,
        ..judge.look(10)
    };
    assert_eq!(judge.take_over_as(early).await, TakenOver::default());
    case.advance(std::time::Duration::ZERO).await;
    assert_eq!(judge.take_over_as(look()).await.executors, [silent.id]);
    assert_eq!(living.renew().await, stepwell_core::store::Renewed::Live);
}
