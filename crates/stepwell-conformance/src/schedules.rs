//! Schedules: each tick once, whoever sees it first.

use jiff::Timestamp;
use stepwell_core::{
    Missed, State,
    store::{
        Change, DeclaredBy, Filter, Launch, NewSchedule, NewWorkflow, QueueUse, ScheduleChange,
        ScheduleInfo, Scheduled, Tick,
    },
};

use crate::{
    Backend,
    fixture::{Case, MINUTE, expect_about, id, limits, only, payload, queued, workflow},
};

const NAME: &str = "nightly";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).expect("an instant")
}

fn new() -> NewSchedule {
    NewSchedule {
        name: NAME.to_owned(),
        workflow: "report".to_owned(),
        spec: "0 3 * * *".to_owned(),
        timezone: Some("Europe/Berlin".to_owned()),
        missed: Missed::All,
        arguments: payload(serde_json::json!(["eu"])),
        queue: None,
        executor: None,
        next_at: Some(at(0)),
    }
}

/// The tick of a second, as somebody sees it whose next tick is `seen`.
fn tick(seen: i64, starts: &[&str], next: i64) -> ScheduleChange {
    let starts = starts.iter().map(|id| workflow(id)).collect::<Vec<_>>();
    ScheduleChange::Tick(Tick {
        name: NAME.to_owned(),
        revision: 0,
        at: Some(at(seen)),
        last_at: starts.last().map(|_| at(seen)),
        starts,
        next_at: Some(at(next)),
    })
}

async fn change(case: &Case<'_>, change: ScheduleChange) -> Scheduled {
    let applied = case.commit(vec![Change::Schedule(change)]).await.pop();
    only!(applied.expect("a change has an outcome"), Schedule)
}

async fn defined(backend: &dyn Backend) -> Case<'_> {
    let case = Case::new(backend).await;
    let done = change(&case, ScheduleChange::Define(new())).await;
    assert_eq!(done, Scheduled::Done);
    case
}

async fn the_one(case: &Case<'_>) -> ScheduleInfo {
    let mut all = case.store.schedules().await.expect("schedules can be read");
    assert_eq!(all.len(), 1);
    all.remove(0)
}

async fn pause(case: &Case<'_>, by: &str) -> Scheduled {
    let pause = ScheduleChange::Pause {
        name: NAME.to_owned(),
        by: by.to_owned(),
        why: "the printer burns".to_owned(),
    };
    change(case, pause).await
}

async fn resume(case: &Case<'_>, next: i64) -> Scheduled {
    let resume = ScheduleChange::Resume {
        name: NAME.to_owned(),
        next_at: Some(at(next)),
    };
    change(case, resume).await
}

/// Nothing of it is lost.
pub async fn a_schedule_keeps_all_that_it_was_given(backend: &dyn Backend) {
    let case = defined(backend).await;

    let known = the_one(&case).await;
    assert_eq!(
        (known.name.as_str(), known.workflow.as_str()),
        (NAME, "report")
    );
    assert_eq!(known.spec, "0 3 * * *");
    assert_eq!(known.timezone.as_deref(), Some("Europe/Berlin"));
    assert_eq!(known.missed, Missed::All);
    assert_eq!(known.arguments, payload(serde_json::json!(["eu"])));
    assert_eq!(known.declared_by, DeclaredBy::Client);
    assert_eq!((known.next_at, known.last_at), (Some(at(0)), None));
    assert_eq!((known.queue, known.paused), (None, None));
    assert_eq!(known.trouble, None);
}

/// A restart must not forget the tick that was missed while nobody was there.
pub async fn a_schedule_that_is_told_again_keeps_its_next_tick(backend: &dyn Backend) {
    let case = defined(backend).await;
    let again = NewSchedule {
        next_at: Some(at(86_400)),
        ..new()
    };

    let outcome = change(&case, ScheduleChange::Define(again)).await;
    assert_eq!(outcome, Scheduled::Already);
    assert_eq!(the_one(&case).await.next_at, Some(at(0)));
}

/// Another expression means other ticks.
pub async fn a_schedule_that_changes_begins_anew(backend: &dyn Backend) {
    let case = defined(backend).await;
    pause(&case, "ann").await;
    let other = NewSchedule {
        spec: "0 4 * * *".to_owned(),
        next_at: Some(at(3_600)),
        ..new()
    };

    let outcome = change(&case, ScheduleChange::Define(other)).await;
    assert_eq!(outcome, Scheduled::Done);
    let known = the_one(&case).await;
    assert_eq!(
        (known.spec.as_str(), known.next_at),
        ("0 4 * * *", Some(at(3_600)))
    );
    assert!(known.paused.is_some(), "a deployment resumes nothing");
}

/// What the code says is changed in the code.
pub async fn a_client_cannot_change_a_schedule_of_the_code(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let of_code = NewSchedule {
        executor: Some(worker.id.clone()),
        ..new()
    };
    change(&case, ScheduleChange::Define(of_code)).await;

    let of_client = NewSchedule {
        queue: Some(QueueUse::new("reports")),
        ..new()
    };
    let outcome = change(&case, ScheduleChange::Define(of_client)).await;
    assert_eq!(outcome, Scheduled::OfCode);
    assert_eq!(the_one(&case).await.declared_by, DeclaredBy::Code);
    let queues = case.store.queues().await.expect("queues can be read");
    assert_eq!(queues, [], "what is refused leaves nothing behind");
}

/// The workflows of a tick and the next tick are one change.
pub async fn a_tick_starts_its_workflows_and_moves_on(backend: &dyn Backend) {
    let case = defined(backend).await;

    let outcome = change(&case, tick(0, &["nightly@0", "nightly@1"], 2)).await;
    assert_eq!(outcome, Scheduled::Done);
    assert_eq!(case.state("nightly@0").await, State::Enqueued);
    assert_eq!(case.state("nightly@1").await, State::Enqueued);
    let known = the_one(&case).await;
    assert_eq!((known.next_at, known.last_at), (Some(at(2)), Some(at(0))));
}

/// Many executors see one tick.
pub async fn a_tick_that_somebody_else_saw_first_starts_nothing(backend: &dyn Backend) {
    let case = defined(backend).await;
    change(&case, tick(0, &["nightly@0"], 1)).await;

    let outcome = change(&case, tick(0, &["too late"], 1)).await;
    assert_eq!(outcome, Scheduled::TooLate);
    assert!(
        case.store
            .find(&id("too late"))
            .await
            .expect("a read")
            .is_none()
    );
    assert_eq!(the_one(&case).await.next_at, Some(at(1)));
}

/// A batch whose answer was lost is handed in again as it was.
pub async fn a_tick_that_is_handed_in_again_starts_nothing_twice(backend: &dyn Backend) {
    let case = defined(backend).await;
    for expected in [Scheduled::Done, Scheduled::TooLate] {
        let outcome = change(&case, tick(0, &["nightly@0"], 1)).await;
        assert_eq!(outcome, expected);
    }
    assert_eq!(case.list(Default::default()).await, ["nightly@0"]);
}

/// A backfill has been there before.
pub async fn a_tick_whose_workflow_is_there_moves_on(backend: &dyn Backend) {
    let case = defined(backend).await;
    case.enqueue("nightly@0").await;

    let outcome = change(&case, tick(0, &["nightly@0"], 1)).await;
    assert_eq!(outcome, Scheduled::Done);
    assert_eq!(the_one(&case).await.next_at, Some(at(1)));
}

/// The id of a tick may be found under other work: the tick is started beside it, once.
pub async fn a_tick_whose_id_other_work_has_is_started_beside_it(backend: &dyn Backend) {
    let case = defined(backend).await;
    let other = |id: &str| NewWorkflow {
        name: "something_else".to_owned(),
        ..workflow(id)
    };
    case.new_workflow(other("nightly@0")).await;

    let outcome = change(&case, tick(0, &["nightly@0", "nightly@1"], 1)).await;
    assert_eq!(outcome, Scheduled::Done);
    let all = case.list(Filter::default()).await;
    assert_eq!(all.len(), 3, "{all:?}");
    assert!(all[1].starts_with("nightly@0~beside-"), "{all:?}");
    assert_eq!(case.find(&all[1]).await.name, workflow("any").name);
    assert_eq!(case.find("nightly@0").await.name, "something_else");
}

/// A tick that is left out moves on, and was none.
pub async fn a_tick_without_workflows_only_moves_on(backend: &dyn Backend) {
    let case = defined(backend).await;

    assert_eq!(change(&case, tick(0, &[], 1)).await, Scheduled::Done);
    let known = the_one(&case).await;
    assert_eq!((known.next_at, known.last_at), (Some(at(1)), None));
}

/// The workflows of a tick may go through a queue.
pub async fn a_tick_can_start_in_a_queue(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let Launch::Queue(queue) = queued("one", "reports", limits(Some(1), None)).launch else {
        unreachable!("the fixture makes one that is queued")
    };
    let new = NewSchedule {
        queue: Some(queue),
        ..new()
    };
    change(&case, ScheduleChange::Define(new)).await;

    assert_eq!(the_one(&case).await.queue.as_deref(), Some("reports"));
}

/// Who paused it, when and why, is shown; the first one counts.
pub async fn a_pause_says_who_and_why(backend: &dyn Backend) {
    let case = defined(backend).await;
    assert_eq!(pause(&case, "ann").await, Scheduled::Done);
    assert_eq!(pause(&case, "bob").await, Scheduled::Already);

    let paused = the_one(&case).await.paused.expect("it is paused");
    assert_eq!(paused.by, "ann");
    assert_eq!(paused.why, "the printer burns");
    expect_about(paused.at, case.now());
}

/// However late the executor looks that did not hear of it.
pub async fn a_paused_schedule_does_not_tick(backend: &dyn Backend) {
    let case = defined(backend).await;
    pause(&case, "ann").await;

    let outcome = change(&case, tick(0, &["nightly@0"], 1)).await;
    assert_eq!(outcome, Scheduled::TooLate);
    assert_eq!(the_one(&case).await.next_at, Some(at(0)));
}

/// The ticks of the pause are gone.
pub async fn a_resumed_schedule_goes_on_from_its_next_tick(backend: &dyn Backend) {
    let case = defined(backend).await;
    pause(&case, "ann").await;
    case.advance(MINUTE).await;

    assert_eq!(resume(&case, 60).await, Scheduled::Done);
    let known = the_one(&case).await;
    assert_eq!((known.next_at, known.paused), (Some(at(60)), None));
    assert_eq!(resume(&case, 120).await, Scheduled::Already);
    assert_eq!(the_one(&case).await.next_at, Some(at(60)));
}

/// What it has started goes on.
pub async fn a_removed_schedule_is_gone(backend: &dyn Backend) {
    let case = defined(backend).await;
    change(&case, tick(0, &["nightly@0"], 1)).await;
    let remove = ScheduleChange::Remove {
        name: NAME.to_owned(),
    };

    assert_eq!(change(&case, remove.clone()).await, Scheduled::Done);
    assert_eq!(change(&case, remove).await, Scheduled::NoSuchSchedule);
    let left = case.store.schedules().await.expect("schedules can be read");
    assert!(left.is_empty());
    assert_eq!(case.state("nightly@0").await, State::Enqueued);
}

/// Nothing can be done to what is not there.
pub async fn an_unknown_schedule_is_told_apart(backend: &dyn Backend) {
    let case = Case::new(backend).await;

    for outcome in [
        pause(&case, "ann").await,
        resume(&case, 1).await,
        change(&case, tick(0, &["nightly@0"], 1)).await,
    ] {
        assert_eq!(outcome, Scheduled::NoSuchSchedule);
    }
    assert!(
        case.store
            .find(&id("nightly@0"))
            .await
            .expect("a read")
            .is_none()
    );
}
