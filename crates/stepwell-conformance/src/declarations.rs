//! Declarations: executors of several releases say what a schedule is, and what limits a queue has.

use std::time::Duration;

use jiff::Timestamp;
use stepwell_core::{
    Missed,
    store::{
        Change, Declaring, NewSchedule, QueueChange, QueueChanged, QueueInfo, QueueLimits,
        RELEASE_KEPT, ScheduleChange, ScheduleInfo, Scheduled, Tick,
    },
};

use crate::{
    Backend,
    fixture::{Case, Worker, limits, only, payload},
};

const NAME: &str = "nightly";

/// How long a release counts as there, and a little more.
const GONE: Duration = RELEASE_KEPT.saturating_add(Duration::from_secs(60));

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).expect("an instant")
}

fn daily(worker: &Worker, hour: u8) -> NewSchedule {
    NewSchedule {
        name: NAME.to_owned(),
        workflow: NAME.to_owned(),
        spec: format!("0 {hour} * * *"),
        timezone: None,
        missed: Missed::Latest,
        arguments: payload(serde_json::json!([])),
        queue: None,
        executor: Some(worker.id.clone()),
        next_at: Some(at(i64::from(hour) * 3_600)),
    }
}

async fn change(case: &Case<'_>, change: ScheduleChange) -> Scheduled {
    let applied = case.commit(vec![Change::Schedule(change)]).await.pop();
    only!(applied.expect("a change has an outcome"), Schedule)
}

async fn declare(case: &Case<'_>, worker: &Worker, hour: u8) -> Scheduled {
    change(case, ScheduleChange::Define(daily(worker, hour))).await
}

async fn withdraw(case: &Case<'_>, worker: &Worker) -> Scheduled {
    let withdraw = ScheduleChange::Withdraw {
        name: NAME.to_owned(),
        executor: worker.id.clone(),
    };
    change(case, withdraw).await
}

async fn schedules(case: &Case<'_>) -> Vec<ScheduleInfo> {
    case.store.schedules().await.expect("schedules can be read")
}

async fn spec(case: &Case<'_>) -> Option<String> {
    schedules(case).await.pop().map(|known| known.spec)
}

/// An executor of a release whose code declares the schedule.
async fn declaring(case: &Case<'_>, version: &str) -> Worker {
    case.register_declaring("shop", version, &[NAME]).await
}

/// A process of the old release that starts anew in the middle of a deploy turns nothing back.
pub async fn an_older_release_changes_nothing_of_a_newer_one(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let old = declaring(&case, "v1").await;
    assert_eq!(declare(&case, &old, 3).await, Scheduled::Done);
    let new = declaring(&case, "v2").await;
    assert_eq!(declare(&case, &new, 4).await, Scheduled::Done);

    let again = declaring(&case, "v1").await;
    assert_eq!(declare(&case, &again, 3).await, Scheduled::Outdated);
    assert_eq!(declare(&case, &old, 3).await, Scheduled::Outdated);
    assert_eq!(spec(&case).await.as_deref(), Some("0 4 * * *"));
}

/// What both declare alike is the newer one's from then on.
pub async fn a_newer_release_adopts_what_it_declares_alike(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let old = declaring(&case, "v1").await;
    let new = declaring(&case, "v2").await;
    assert_eq!(declare(&case, &old, 3).await, Scheduled::Done);
    assert_eq!(declare(&case, &new, 3).await, Scheduled::Already);

    assert_eq!(declare(&case, &old, 4).await, Scheduled::Outdated);
    assert_eq!(spec(&case).await.as_deref(), Some("0 3 * * *"));
}

/// After a roll-back the older release is right, when the newer one has been gone for a while: a
/// restart of its only process is no roll-back.
pub async fn an_older_release_counts_again_when_the_newer_one_is_gone(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let old = declaring(&case, "v1").await;
    let new = declaring(&case, "v2").await;
    declare(&case, &new, 4).await;
    new.retire().await;

    assert_eq!(declare(&case, &old, 3).await, Scheduled::Outdated);
    case.advance(GONE).await;
    assert_eq!(declare(&case, &old, 3).await, Scheduled::Done);
    assert_eq!(spec(&case).await.as_deref(), Some("0 3 * * *"));
}

/// A release that was known before is not the newest because it came back.
pub async fn a_release_keeps_its_place_in_the_order(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    declaring(&case, "v1").await.retire().await;
    case.advance(Duration::from_secs(3 * 24 * 60 * 60)).await;
    let new = declaring(&case, "v2").await;
    declare(&case, &new, 4).await;

    let again = declaring(&case, "v1").await;
    assert_eq!(declare(&case, &again, 3).await, Scheduled::Outdated);
}

/// A declaration that comes too late is one of a process that is dead.
pub async fn an_executor_that_has_ended_declares_nothing(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = declaring(&case, "v1").await;
    worker.retire().await;

    assert_eq!(declare(&case, &worker, 3).await, Scheduled::Outdated);
    assert_eq!(schedules(&case).await, []);
}

/// While a process lives that declares it, another release's code does not end a schedule.
pub async fn what_a_living_executor_declares_is_not_withdrawn(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let old = declaring(&case, "v1").await;
    declare(&case, &old, 3).await;
    let new = case.register_version("v2").await;

    assert_eq!(withdraw(&case, &new).await, Scheduled::Outdated);
    assert_eq!(schedules(&case).await.len(), 1);
    old.retire().await;
    assert_eq!(withdraw(&case, &new).await, Scheduled::Done);
    assert_eq!(schedules(&case).await, []);
}

/// The old release knows nothing of it yet.
pub async fn an_older_release_withdraws_nothing_of_a_newer_one(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let old = case.register_version("v1").await;
    let new = declaring(&case, "v2").await;
    declare(&case, &new, 4).await;
    new.retire().await;

    assert_eq!(withdraw(&case, &old).await, Scheduled::Outdated);
    case.advance(GONE).await;
    assert_eq!(withdraw(&case, &old).await, Scheduled::Done);
}

/// Neither the straggler that still declares it, nor a tick that was worked out before.
pub async fn what_is_withdrawn_neither_ticks_nor_comes_back(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let old = declaring(&case, "v1").await;
    declare(&case, &old, 3).await;
    let seen = schedules(&case).await.remove(0);
    old.retire().await;
    let new = case.register_version("v2").await;
    withdraw(&case, &new).await;

    let again = declaring(&case, "v1").await;
    assert_eq!(declare(&case, &again, 3).await, Scheduled::Outdated);
    let tick = ScheduleChange::Tick(Tick {
        name: NAME.to_owned(),
        revision: seen.revision,
        at: seen.next_at,
        starts: Vec::new(),
        last_at: None,
        next_at: None,
    });
    assert_eq!(change(&case, tick).await, Scheduled::NoSuchSchedule);
}

/// Whoever paused it did not say that the next deploy may let it go on.
pub async fn a_pause_outlives_a_withdrawal(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let old = declaring(&case, "v1").await;
    declare(&case, &old, 3).await;
    let pause = ScheduleChange::Pause {
        name: NAME.to_owned(),
        by: "ann".to_owned(),
        why: "the printer burns".to_owned(),
    };
    change(&case, pause).await;
    old.retire().await;
    let without = case.register_version("v2").await;
    withdraw(&case, &without).await;

    let new = declaring(&case, "v3").await;
    assert_eq!(declare(&case, &new, 3).await, Scheduled::Done);
    let known = schedules(&case).await.remove(0);
    assert_eq!(known.paused.expect("it is paused").by, "ann");
}

/// A person has made it, and no deploy takes it.
pub async fn code_changes_nothing_that_a_client_has_defined(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = declaring(&case, "v1").await;
    let of_client = NewSchedule {
        executor: None,
        ..daily(&worker, 5)
    };
    change(&case, ScheduleChange::Define(of_client)).await;

    assert_eq!(declare(&case, &worker, 3).await, Scheduled::OfClient);
    assert_eq!(withdraw(&case, &worker).await, Scheduled::OfClient);
    assert_eq!(spec(&case).await.as_deref(), Some("0 5 * * *"));
    let remove = ScheduleChange::Remove {
        name: NAME.to_owned(),
    };
    change(&case, remove).await;
    assert_eq!(declare(&case, &worker, 3).await, Scheduled::Done);
}

/// An executor of the old release worked it out before the new one came.
pub async fn a_tick_of_what_a_schedule_was_is_too_late(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let old = declaring(&case, "v1").await;
    declare(&case, &old, 3).await;
    let seen = schedules(&case).await.remove(0);
    let new = declaring(&case, "v2").await;
    let hourly = NewSchedule {
        spec: "@every 1h".to_owned(),
        next_at: seen.next_at,
        ..daily(&new, 3)
    };
    change(&case, ScheduleChange::Define(hourly)).await;

    let tick = ScheduleChange::Tick(Tick {
        name: NAME.to_owned(),
        revision: seen.revision,
        at: seen.next_at,
        starts: Vec::new(),
        last_at: None,
        next_at: Some(at(27 * 3_600)),
    });
    assert_eq!(change(&case, tick).await, Scheduled::TooLate);
    assert_eq!(schedules(&case).await.remove(0).next_at, seen.next_at);
}

const MAIL: &str = "mail";

async fn steer(case: &Case<'_>, change: QueueChange) -> QueueChanged {
    let applied = case.commit(vec![Change::Queue(change)]).await.pop();
    only!(applied.expect("a change has an outcome"), Queue)
}

async fn limit(case: &Case<'_>, worker: &Worker, limits: QueueLimits) -> QueueChanged {
    let declare = QueueChange::Declare {
        name: MAIL.to_owned(),
        limits,
        executor: worker.id.clone(),
        declaring: Declaring::Anew,
    };
    steer(case, declare).await
}

/// As an executor that finds other limits than its code declares.
async fn limit_again(case: &Case<'_>, worker: &Worker, limits: QueueLimits) -> QueueChanged {
    let declare = QueueChange::Declare {
        name: MAIL.to_owned(),
        limits,
        executor: worker.id.clone(),
        declaring: Declaring::Again,
    };
    steer(case, declare).await
}

/// Two programs that give themselves one version do not take turns: the last launch counts.
pub async fn within_a_release_the_last_launch_counts(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let one = declaring(&case, "v1").await;
    let other = declaring(&case, "v1").await;
    declare(&case, &one, 3).await;
    assert_eq!(declare(&case, &other, 4).await, Scheduled::Done);
    let again = ScheduleChange::Redeclare(daily(&one, 3));
    assert_eq!(change(&case, again).await, Scheduled::Outdated);
    assert_eq!(spec(&case).await.as_deref(), Some("0 4 * * *"));

    limit(&case, &one, at_once(1)).await;
    assert_eq!(limit(&case, &other, at_once(2)).await, QueueChanged::Done);
    let again = limit_again(&case, &one, at_once(1)).await;
    assert_eq!(again, QueueChanged::Outdated);
    assert_eq!(mail(&case).await.limits, at_once(2));
    let newer = case.register_version("v2").await;
    let newer = limit_again(&case, &newer, at_once(3)).await;
    assert_eq!(newer, QueueChanged::Done);
}

fn at_once(number: u32) -> QueueLimits {
    limits(Some(number), None)
}

async fn mail(case: &Case<'_>) -> QueueInfo {
    let mut all = case.store.queues().await.expect("queues can be read");
    assert_eq!(all.len(), 1);
    all.remove(0)
}

/// A limit is code, like any other.
pub async fn the_newest_release_says_what_limits_a_queue_has(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let old = case.register_version("v1").await;
    assert_eq!(limit(&case, &old, at_once(1)).await, QueueChanged::Done);
    let new = case.register_version("v2").await;
    assert_eq!(limit(&case, &new, at_once(5)).await, QueueChanged::Done);

    assert_eq!(limit(&case, &new, at_once(5)).await, QueueChanged::Already);
    assert_eq!(limit(&case, &old, at_once(1)).await, QueueChanged::Outdated);
    assert_eq!(mail(&case).await.limits, at_once(5));
    new.retire().await;
    case.advance(GONE).await;
    assert_eq!(limit(&case, &old, at_once(1)).await, QueueChanged::Done);
    let known = case.store.limits().await.expect("limits can be read");
    assert_eq!((known[0].limits, known[0].by_hand), (at_once(1), false));
}

/// A client that runs no workflows has made it, with whatever limits it gave.
pub async fn a_queue_that_a_start_has_made_gets_the_limits_of_the_code(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    case.new_workflow(crate::fixture::queued("one", MAIL, at_once(1)))
        .await;
    let worker = case.register().await;

    assert_eq!(limit(&case, &worker, at_once(2)).await, QueueChanged::Done);
    assert_eq!(mail(&case).await.limits, at_once(2));
}

/// What somebody set at night stays until that person takes it back.
pub async fn limits_that_were_set_by_hand_stay_until_they_are_unset(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register_version("v1").await;
    limit(&case, &worker, at_once(5)).await;
    let by_hand = QueueChange::Limit {
        name: MAIL.to_owned(),
        limits: at_once(1),
    };
    assert_eq!(steer(&case, by_hand.clone()).await, QueueChanged::Done);
    assert_eq!(steer(&case, by_hand).await, QueueChanged::Already);

    let new = case.register_version("v2").await;
    assert_eq!(
        limit(&case, &new, at_once(5)).await,
        QueueChanged::SetByHand
    );
    assert_eq!(mail(&case).await.limits, at_once(1));
    assert!(mail(&case).await.limited_at.is_some());

    let unset = QueueChange::Unlimit {
        name: MAIL.to_owned(),
    };
    assert_eq!(steer(&case, unset.clone()).await, QueueChanged::Done);
    assert_eq!(steer(&case, unset).await, QueueChanged::Already);
    assert_eq!(mail(&case).await.limits, at_once(1), "until it is declared");
    assert_eq!(limit(&case, &new, at_once(5)).await, QueueChanged::Done);
    assert_eq!(mail(&case).await.limited_at, None);
}
