use super::*;
use crate::{
    id::{ExecutorId, WorkflowId, WorkflowKey},
    position::Position,
    store::{Paused, QueueLimits, Rate},
    workflow::RecordKind,
};

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A workflow `charge` in a state, with a reason, and what else may be known of it: nothing.
fn facts(state: State, reason: Option<&str>) -> Facts {
    let key = WorkflowKey(1);
    let workflow = Workflow::unreadable(key, "order-1", "charge", "");
    Facts {
        workflow: Workflow {
            id: WorkflowId::new("order-1").unwrap(),
            state,
            reason: reason.map(str::to_owned),
            ..workflow
        },
        executors: Vec::new(),
        queue: None,
        doing: Vec::new(),
        now: second(100),
    }
}

/// An executor whose lease ends at an instant.
fn executor(names: Option<&[&str]>, lease_ends: i64) -> Executor {
    Executor {
        id: ExecutorId::generate(),
        application: "shop".into(),
        version: "v7".into(),
        host: "host-1".into(),
        pid: 12,
        started_at: second(0),
        lease_expires_at: second(lease_ends),
        ended_at: None,
        names: names.map(|names| names.iter().map(|&name| name.to_owned()).collect()),
    }
}

fn queue(limits: QueueLimits) -> QueueSeen {
    QueueSeen {
        name: "orders".into(),
        limits,
        paused: None,
        key: "ann".into(),
        running: 2,
        running_of_key: 1,
        started: 5,
    }
}

#[track_caller]
fn check(facts: Facts, sentence: &str) {
    assert_eq!(explain(facts).to_string(), sentence);
}

#[test]
fn what_rests_or_waits_for_an_instant_says_its_reason() {
    check(
        Facts {
            workflow: Workflow {
                wake_at: Some(second(160)),
                ..facts(State::Delayed, None).workflow
            },
            ..facts(State::Delayed, None)
        },
        "it is delayed until 1970-01-01T00:02:40Z",
    );
    check(
        facts(State::Parked, Some("waits for a message")),
        "waits for a message",
    );
    check(
        facts(State::Stuck, Some("operation 3")),
        "it is stuck: operation 3",
    );
    check(
        facts(State::Dead, Some("lost 3 times")),
        "it is dead: lost 3 times",
    );
    check(facts(State::Succeeded, None), "it has succeeded");
    check(
        facts(State::Failed, Some("no stock")),
        "it has failed: no stock",
    );
    check(
        facts(State::Cancelled, Some("on request")),
        "it was cancelled: on request",
    );
    check(facts(State::Unknown, Some("it is new")), "it is new");
}

#[test]
fn without_a_live_executor_nothing_goes_on() {
    check(
        facts(State::Enqueued, None),
        "no executor is live that could run it",
    );
    let ended = Executor {
        ended_at: Some(second(1)),
        ..executor(None, 200)
    };
    check(
        Facts {
            executors: vec![executor(Some(&["charge"]), 99), ended],
            ..facts(State::Enqueued, None)
        },
        "no executor is live that could run it (1 silent for longer than the lease)",
    );
}

#[test]
fn a_name_that_no_live_executor_registers_is_said_with_those_that_are() {
    let live = [&["ship", "pay"][..], &["pay"]].map(|names| executor(Some(names), 200));
    let why = explain(Facts {
        executors: live.to_vec(),
        ..facts(State::Enqueued, None)
    });
    assert_eq!(
        why.to_string(),
        "no live executor registers `charge`: `shop` (version v7) registers `pay`, `ship`"
    );
    let Why::Unregistered { live, .. } = why else {
        panic!("{why:?}");
    };
    assert_eq!((live.len(), live[0].executors), (1, 2));
}

#[test]
fn one_that_does_not_say_what_it_registers_may_take_it() {
    for names in [None, Some(&["charge"][..])] {
        check(
            Facts {
                executors: vec![executor(names, 200), executor(Some(&["ship"]), 200)],
                ..facts(State::Enqueued, None)
            },
            "it waits for its turn: 1 live executor may take it",
        );
    }
}

#[test]
fn a_pause_comes_before_all_and_a_limit_after_the_executors() {
    let full = QueueLimits {
        concurrency: Some(2),
        ..QueueLimits::default()
    };
    let waits = Facts {
        queue: Some(queue(full)),
        ..facts(State::Enqueued, None)
    };
    let paused = Paused {
        at: second(60),
        by: "ada".into(),
        why: "the mail server is down".into(),
    };
    check(
        Facts {
            queue: Some(QueueSeen {
                paused: Some(paused),
                ..queue(full)
            }),
            ..waits.clone()
        },
        "its queue `orders` is paused by ada since 1970-01-01T00:01:00Z: the mail server is down",
    );
    check(waits.clone(), "no executor is live that could run it");
    check(
        Facts {
            executors: vec![executor(Some(&["charge"]), 200)],
            ..waits
        },
        "its queue `orders` is full: 2 of it run, as many as may",
    );
}

#[test]
fn the_limit_is_said_that_is_reached() {
    let rate = Rate {
        starts: 5,
        period_ms: 60_000,
    };
    let none = QueueLimits::default();
    for (limits, sentence) in [
        (
            QueueLimits {
                key_concurrency: Some(1),
                ..none
            },
            "its key `ann` in the queue `orders` is full: 1 of the key run, as many as may",
        ),
        (
            QueueLimits {
                rate: Some(rate),
                ..none
            },
            "its queue `orders` has reached its rate: 5 have begun within 60s, as many as may",
        ),
        (
            QueueLimits {
                concurrency: Some(3),
                key_concurrency: Some(2),
                rate: Some(Rate { starts: 6, ..rate }),
                ..none
            },
            "it waits for its turn: 1 live executor may take it",
        ),
    ] {
        let facts = Facts {
            executors: vec![executor(Some(&["charge"]), 200)],
            queue: Some(queue(limits)),
            ..facts(State::Enqueued, None)
        };
        check(facts, sentence);
    }
}

#[test]
fn what_runs_says_where_and_what_it_is_at() {
    let home = executor(Some(&["charge"]), 200);
    let running = facts(State::Running, None);
    let running = Facts {
        workflow: Workflow {
            executor: Some(home.id.clone()),
            ..running.workflow
        },
        executors: vec![executor(None, 200), home],
        ..running
    };
    check(
        running.clone(),
        "it runs on `host-1` (process 12, version v7)",
    );
    let doing = Doing {
        position: Position::top(3),
        kind: RecordKind::Step,
        name: "charge".into(),
        attempt: Some(2),
        since: second(90),
        until: None,
    };
    check(
        Facts {
            doing: vec![doing],
            ..running.clone()
        },
        "it runs on `host-1` (process 12, version v7): it runs step `charge` (position 3, attempt 2) \
         since 1970-01-01T00:01:30Z",
    );
    check(
        Facts {
            now: second(201),
            ..running.clone()
        },
        "its executor on `host-1` (process 12, version v7) has been silent since \
         1970-01-01T00:03:20Z: another one takes it over",
    );
    let gone = Facts {
        executors: Vec::new(),
        ..running
    };
    assert_eq!(explain(gone), Why::ChangesHands);
}

#[test]
fn only_names_that_no_live_executor_registers_are_said_at_launch() {
    let waiting = |name: &str| NameWaiting {
        name: name.to_owned(),
        count: 1,
    };
    let waiting = vec![waiting("charge"), waiting("ship")];
    let names = |executors: &[Executor]| {
        let missing = unregistered(waiting.clone(), executors, second(100));
        missing.into_iter().map(|it| it.name).collect::<Vec<_>>()
    };
    let ships = executor(Some(&["ship"]), 200);
    assert_eq!(
        names(&[ships.clone(), executor(Some(&["charge"]), 99)]),
        ["charge"]
    );
    assert_eq!(names(&[ships, executor(None, 200)]), [""; 0]);
    assert_eq!(names(&[]), ["charge", "ship"]);
}
