//! What a newer version has written: an older one leaves it alone, shows it, and stops at nothing.

use serde_json::json;
use stepwell_core::{
    Missed, RecordKind, State,
    store::{
        Cancelled, Change, DeclaredBy, Deleted, Filter, NewSchedule, Resumed, ScheduleChange,
        Started,
    },
};

use crate::{
    Backend,
    fixture::{Case, payload, workflow},
};

const HIBERNATING: &str =
    "update {schema}.workflows set state = 'hibernating' where workflow_id = 'newer'";

/// Two workflows, and between them one in a state of a newer version.
async fn hibernating(backend: &dyn Backend) -> Option<Case<'_>> {
    let case = Case::new(backend).await;
    for id in ["first", "newer", "last"] {
        case.enqueue(id).await;
    }
    case.behind(HIBERNATING).await.then_some(case)
}

/// Everybody else is listed, counted and found.
pub async fn an_unknown_state_keeps_nothing_from_being_read(backend: &dyn Backend) {
    let Some(case) = hibernating(backend).await else {
        return;
    };
    assert_eq!(
        case.list(Filter::default()).await,
        ["last", "newer", "first"]
    );
    let shown = case.find("newer").await;
    assert_eq!(shown.state, State::Unknown);
    let reason = shown.reason.expect("it is said why");
    assert!(reason.contains("`hibernating`"), "{reason}");
    let tallies = case.store.tallies().await.expect("tallies can be read");
    let states: Vec<_> = tallies.iter().map(|it| (it.state, it.count)).collect();
    assert_eq!(states, [(State::Enqueued, 2), (State::Unknown, 1)]);
    let result = case
        .store
        .result(shown.key)
        .await
        .expect("a result can be read");
    assert_eq!(result.expect("it is there").0.state, State::Unknown);
    for (state, expected) in [
        (State::Unknown, vec!["newer"]),
        (State::Enqueued, vec!["last", "first"]),
    ] {
        let filter = Filter {
            states: vec![state],
            ..Filter::default()
        };
        assert_eq!(case.list(filter).await, expected);
    }
}

/// It is the newer version's alone.
pub async fn an_unknown_state_is_left_alone(backend: &dyn Backend) {
    let Some(case) = hibernating(backend).await else {
        return;
    };
    let worker = case.register().await;
    assert_eq!(worker.claim(10).await.len(), 2);
    assert_eq!(
        case.cancel("newer").await,
        Cancelled::Already(State::Unknown)
    );
    assert_eq!(case.resume("newer").await, Resumed::Not(State::Unknown));
    assert_eq!(case.delete("newer").await, Deleted::Not(State::Unknown));
    let again = case.start(workflow("newer")).await;
    assert!(
        matches!(
            again,
            Started::Existing {
                state: State::Unknown,
                mine: false,
                ..
            }
        ),
        "{again:?}"
    );
    worker.retire().await;
    let other = case.register().await;
    assert_eq!(other.claim(10).await.len(), 2);
    assert_eq!(case.state("newer").await, State::Unknown);
}

/// Replay is told by it, and shows it.
pub async fn an_unknown_record_is_read_with_its_word(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("one").await;
    worker.record(key, 1, "charge", json!(8)).await;
    let newer = "update {schema}.records set kind = 'teleport', place = '@1' where place = '1'";
    if !case.behind(newer).await {
        return;
    }
    let history = case.history(key).await;
    let record = history.last().expect("the record is read");
    assert_eq!(record.kind, RecordKind::Unknown);
    assert_eq!(
        (record.name.as_str(), record.place.encode().as_str()),
        ("teleport charge", "@1")
    );
    let why = record.of_newer_version().expect("no run goes on from it");
    assert!(why.contains("`teleport charge` at `@1`"), "{why}");
}

/// An instant that is none, by whatever accident.
pub async fn a_row_that_cannot_be_read_is_set_aside_by_a_claim(backend: &dyn Backend) {
    let Some(case) = hibernating(backend).await else {
        return;
    };
    let broken = "update {schema}.workflows set state = 'enqueued', created_at = {no_instant} \
         where workflow_id = 'newer'";
    case.behind(broken).await;
    assert_eq!(case.list(Filter::default()).await.len(), 3);
    let shown = case.find("newer").await;
    assert_eq!(shown.state, State::Unknown);
    assert!(
        shown
            .reason
            .expect("it is said why")
            .contains("cannot be read")
    );

    let worker = case.register().await;
    assert_eq!(worker.claim(10).await.len(), 2);
    let mended = "update {schema}.workflows set created_at = (select w.created_at \
         from {schema}.workflows as w where w.workflow_id = 'first') where workflow_id = 'newer'";
    case.behind(mended).await;
    assert_eq!(case.state("newer").await, State::Stuck);
    assert_eq!(case.resume("newer").await, Resumed::Now);
    assert_eq!(worker.claim(10).await.len(), 1);
}

/// The others tick, and it is shown why this one does not.
pub async fn an_unknown_word_of_a_schedule_keeps_no_other_from_being_read(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    for name in ["a", "b", "c"] {
        let new = NewSchedule {
            name: name.to_owned(),
            workflow: "report".to_owned(),
            spec: "@every 1h".to_owned(),
            timezone: None,
            missed: Missed::All,
            arguments: payload(json!([])),
            queue: None,
            executor: None,
            next_at: Some(case.now()),
        };
        case.commit(vec![Change::Schedule(ScheduleChange::Define(new))])
            .await;
    }
    for sql in [
        "update {schema}.schedules set missed = 'sometimes' where schedule_name = 'a'",
        "update {schema}.schedules set declared_by = 'robot' where schedule_name = 'c'",
    ] {
        if !case.behind(sql).await {
            return;
        }
    }
    let all = case.store.schedules().await.expect("schedules can be read");
    let troubles: Vec<_> = all.iter().map(|it| it.trouble.is_some()).collect();
    assert_eq!(troubles, [true, false, true]);
    assert!(
        all[0]
            .trouble
            .as_ref()
            .expect("trouble")
            .contains("`sometimes`")
    );
    assert_eq!(
        (all[0].missed, all[2].declared_by),
        (Missed::Latest, DeclaredBy::Client)
    );
}
