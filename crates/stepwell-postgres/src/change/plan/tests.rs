use std::time::Duration;

use stepwell_core::{
    Outcome, Payload, Position, RecordKind, WorkflowId,
    store::{Cancel, CancelCause, Launch, NewMessage, NewRecord, StartMessage},
};

use super::*;

fn id(text: &str) -> WorkflowId {
    WorkflowId::new(text).unwrap()
}

fn start(workflow_id: &str) -> Change {
    Change::Start(new(workflow_id))
}

fn new(workflow_id: &str) -> NewWorkflow {
    NewWorkflow {
        launch: Launch::Here,
        ..NewWorkflow::new(id(workflow_id), "checkout", Payload::null())
    }
}

fn progress(key: i64, numbers: &[u32]) -> Progress {
    let record = |number: &u32| NewRecord {
        place: Place::At(Position::top(*number)),
        kind: RecordKind::Step,
        name: "charge".into(),
        outcome: Outcome::Ok(Payload::null()),
        attempts: 1,
        elapsed: Duration::ZERO,
    };
    Progress {
        key: WorkflowKey(key),
        records: numbers.iter().map(record).collect(),
        effects: vec![],
    }
}

fn record(key: i64, numbers: &[u32]) -> Change {
    Change::Progress(progress(key, numbers))
}

fn with(key: i64, number: u32, effect: Effect) -> Change {
    Change::Progress(Progress {
        effects: vec![effect],
        ..progress(key, &[number])
    })
}

fn message(to: &str) -> NewMessage {
    NewMessage {
        to: id(to),
        topic: String::new(),
        payload: Payload::null(),
        key: None,
    }
}

fn finish(key: i64) -> Change {
    end(key, End::Succeeded(Payload::null()))
}

fn stick(key: i64) -> Change {
    let reason = "the code changed".into();
    end(key, End::Stuck { reason })
}

fn end(key: i64, end: End) -> Change {
    Change::Finish(Finish {
        key: WorkflowKey(key),
        end,
        version: "v1".into(),
        alerts: Vec::new(),
    })
}

fn cancel(workflow_id: &str) -> Change {
    Change::Cancel(Cancel {
        id: id(workflow_id),
        cause: CancelCause::Request,
    })
}

/// The rounds of a batch, hot changes before the `|`.
#[track_caller]
fn check(changes: &[Change], expected: &[&str]) {
    let numbers = |places: &[usize]| {
        let texts: Vec<_> = places.iter().map(ToString::to_string).collect();
        texts.join(" ")
    };
    let found: Vec<_> = rounds(changes)
        .iter()
        .map(|round| format!("{}|{}", numbers(&round.hot), numbers(&round.cold)))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn what_runs_do_is_one_round() {
    check(&[], &[]);
    check(
        &[
            start("a"),
            record(1, &[0]),
            record(1, &[1]),
            finish(1),
            start("b"),
            record(2, &[0, 1]),
        ],
        &["0 1 2 3 4 5|"],
    );
}

#[test]
fn the_second_of_the_same_waits_for_the_first() {
    check(&[start("a"), start("b"), start("a")], &["0 1|", "2|"]);
    check(&[record(1, &[0]), record(1, &[0])], &["0|", "1|"]);
    check(&[record(1, &[0]), record(1, &[1, 0])], &["0|", "1|"]);
    check(&[finish(1), finish(2), finish(1)], &["0 1|", "2|"]);
}

#[test]
fn nothing_is_recorded_behind_the_end() {
    check(
        &[finish(1), record(2, &[0]), record(1, &[0])],
        &["0 1|", "2|"],
    );
}

#[test]
fn an_end_waits_for_records_that_come_together() {
    check(&[record(1, &[0, 1]), finish(1)], &["0|", "1|"]);
}

#[test]
fn a_hot_change_overtakes_a_cold_one_of_another_workflow() {
    let effect = Effect::Receive { message: 1 };
    check(
        &[with(1, 0, effect), record(2, &[0]), start("a"), finish(3)],
        &["1 2 3|0"],
    );
    check(
        &[Change::Send(message("a")), record(2, &[0]), start("b")],
        &["1 2|0"],
    );
}

#[test]
fn a_hot_change_does_not_overtake_a_cold_one_of_the_same_workflow() {
    let effect = Effect::Receive { message: 1 };
    check(
        &[with(1, 0, effect), record(1, &[1]), record(2, &[0])],
        &["|0", "1 2|"],
    );
    check(&[stick(1), record(1, &[0])], &["|0", "1|"]);
    check(&[stick(1), finish(1)], &["|0", "1|"]);
    check(&[Change::Send(message("a")), start("a")], &["|0", "1|"]);
    check(
        &[with(1, 0, Effect::Send(message("a"))), start("a")],
        &["|0", "1|"],
    );
    check(
        &[with(1, 0, Effect::Start(new("a"))), start("a")],
        &["|0", "1|"],
    );
}

#[test]
fn nothing_overtakes_what_may_touch_anything() {
    check(
        &[record(1, &[0]), cancel("a"), record(2, &[0])],
        &["0|1", "2|"],
    );
    check(
        &[cancel("a"), Change::Resume(id("a")), start("b")],
        &["|0 1", "2|"],
    );
    // It may be the one with this id, which is to be found stuck.
    check(&[stick(1), start("a")], &["|0", "1|"]);
}

/// The message comes only to one that has not ended.
#[test]
fn no_end_overtakes_a_start_that_brings_a_message() {
    let mut brings = new("a");
    brings.message = Some(Box::new(StartMessage {
        topic: String::new(),
        payload: Payload::null(),
        key: "k".into(),
    }));
    check(
        &[Change::Start(brings), finish(1), record(2, &[0])],
        &["|0", "1 2|"],
    );
}

#[test]
fn cold_changes_keep_their_order() {
    check(
        &[
            Change::Send(message("a")),
            stick(1),
            Change::Resume(id("a")),
            start("b"),
            Change::Send(message("b")),
        ],
        &["|0 1 2", "3|4"],
    );
}
