//! Every kind of change, refused in every way, on both databases: nothing is lost, nothing is stranded,
//! everything ends once the trouble is over.
//!
//! A *world* is a program that makes changes of every kind. In each cell of the matrix one change of one
//! kind is spoiled in one way; what has come of the world in the end must be the same in all of them.
//! An everyday run plays some of the cells; `STEPWELL_FAULTS=all` plays them all, for the first three
//! changes of each kind.

mod world;

use std::{sync::Arc, time::Duration};

use stepwell::{
    End,
    clock::{Clock, SystemClock},
    store::{Change, Effect, Store, StoreErrorKind, StoreUrl, open_store},
};
use stepwell_conformance::{Spoil, Spoiled};

use crate::{database::Database, on_both};

on_both!(the_world_comes_out_the_same_whatever_is_refused);

/// Of so many cells an everyday run plays one.
const EVERYDAY: usize = 11;

type Picks = fn(&Change) -> bool;

/// Every kind of change, by what it is called.
const KINDS: [(&str, Picks); 21] = [
    ("start", |it| matches!(it, Change::Start(_))),
    ("step", |it| has_no_effect(it)),
    ("set_event", |it| {
        has(it, |it| matches!(it, Effect::SetEvent { .. }))
    }),
    ("append", |it| {
        has(it, |it| matches!(it, Effect::Append { .. }))
    }),
    ("send by a run", |it| {
        has(it, |it| matches!(it, Effect::Send(_)))
    }),
    ("receive", |it| {
        has(it, |it| matches!(it, Effect::Receive { .. }))
    }),
    ("child", |it| has(it, |it| matches!(it, Effect::Start(_)))),
    ("attribute", |it| {
        has(it, |it| matches!(it, Effect::SetAttribute { .. }))
    }),
    ("success", |it| {
        ends(it, |it| matches!(it, End::Succeeded(_)))
    }),
    ("failure", |it| {
        ends(it, |it| matches!(it, End::Failed { .. }))
    }),
    ("stuck", |it| ends(it, |it| matches!(it, End::Stuck { .. }))),
    (
        "alert",
        |it| matches!(it, Change::Finish(it) if !it.alerts.is_empty()),
    ),
    ("park", |it| matches!(it, Change::Park(_))),
    ("send", |it| matches!(it, Change::Send(_))),
    ("cancel", |it| matches!(it, Change::Cancel(_))),
    ("resume", |it| matches!(it, Change::Resume(_))),
    ("fork", |it| matches!(it, Change::Fork(_))),
    ("acknowledge", |it| matches!(it, Change::Acknowledge(_))),
    ("delete", |it| matches!(it, Change::Delete(_))),
    ("schedule", |it| matches!(it, Change::Schedule(_))),
    ("queue", |it| matches!(it, Change::Queue(_))),
];

fn has_no_effect(change: &Change) -> bool {
    matches!(change, Change::Progress(progress) if progress.effects.is_empty())
}

fn has(change: &Change, effect: fn(&Effect) -> bool) -> bool {
    matches!(change, Change::Progress(progress) if progress.effects.iter().any(effect))
}

fn ends(change: &Change, end: fn(&End) -> bool) -> bool {
    matches!(change, Change::Finish(finish) if end(&finish.end))
}

/// Every way to spoil one, and how often; for ever, if none: until somebody puts it right.
fn spoils() -> Vec<(Spoil, Option<u32>)> {
    use StoreErrorKind::{Backend, Busy, Corrupt, Full, ReadOnly, Refused, Unavailable, Unusable};
    let passing = [
        Unavailable,
        Busy,
        Full,
        ReadOnly,
        Corrupt,
        Unusable,
        Backend,
    ];
    let refused = passing.map(|kind| (Spoil::Refuse(kind), Some(4)));
    let lost = [Unavailable, Busy, Backend].map(|kind| (Spoil::Lose(kind), Some(2)));
    let others = [
        (Spoil::Refuse(Refused), Some(1)),
        (Spoil::Refuse(Refused), None),
        // Longer than the lease.
        (
            Spoil::Delay(world::LEASE + Duration::from_millis(500)),
            Some(1),
        ),
    ];
    refused.into_iter().chain(lost).chain(others).collect()
}

async fn the_world_comes_out_the_same_whatever_is_refused(db: &Database) {
    let url = db.url.replace("users.db", "workflows.db");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store: Arc<dyn Store> = open_store(&StoreUrl::new(&url), clock).await.unwrap();
    let plays_all = std::env::var("STEPWELL_FAULTS").is_ok_and(|which| which == "all");
    let (every, skips) = if plays_all { (1, 3) } else { (EVERYDAY, 1) };
    let mut cell = 0;
    for skip in 0..skips {
        for (kind, picks) in KINDS {
            for (spoil, times) in spoils() {
                cell += 1;
                if cell % every == 0 {
                    let name = format!("{kind} {skip}: {spoil:?} {times:?}");
                    let store = Spoiled::new(Arc::clone(&store));
                    let fault = store.spoil(spoil, (skip, times), picks);
                    world::play(&store, &fault, &format!("c{cell}"), &name).await;
                    assert!(
                        skip > 0 || fault.struck() > 0,
                        "{name}: there was no such change"
                    );
                }
            }
        }
    }
}
