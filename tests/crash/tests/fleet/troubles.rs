//! One test for each kind of trouble, and one with everything at once.

use std::time::Duration;

use crate::trouble::{
    Between, Plan,
    Trouble::{Cut, Kill, Restart, Silence, Stop},
    endure,
};

/// A short lease, so that a test does not wait long for its end.
const LEASE: Option<Duration> = Some(Duration::from_secs(2));

/// With the default lease: how long a take-over takes is part of it.
#[test]
fn nothing_is_lost_or_doubled_when_executors_are_killed() {
    endure(Plan {
        name: "kills",
        troubles: &[Kill],
        times: 3,
        between: Between::Nothing,
        lease: None,
    });
}

#[test]
fn zombies_write_nothing_and_double_nothing() {
    endure(Plan {
        name: "zombies",
        troubles: &[Stop],
        times: 4,
        between: Between::Nothing,
        lease: LEASE,
    });
}

#[test]
fn nothing_is_lost_or_doubled_when_the_server_crashes() {
    endure(Plan {
        name: "server",
        troubles: &[Restart],
        times: 3,
        between: Between::Nothing,
        lease: LEASE,
    });
}

#[test]
fn nothing_is_lost_or_doubled_when_connections_break() {
    endure(Plan {
        name: "connections",
        troubles: &[Cut, Cut, Silence],
        times: 15,
        between: Between::Proxy,
        lease: LEASE,
    });
}

#[test]
fn nothing_is_lost_or_doubled_behind_a_pooler() {
    endure(Plan {
        name: "pooler",
        troubles: &[Kill],
        times: 3,
        between: Between::Pooler,
        lease: LEASE,
    });
}

#[test]
fn nothing_is_lost_or_doubled_when_everything_happens_at_once() {
    endure(Plan {
        name: "everything",
        troubles: &[Kill, Stop, Restart, Cut, Silence],
        times: 12,
        between: Between::ProxyAndPooler,
        lease: LEASE,
    });
}
