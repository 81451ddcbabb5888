//! The journal's writer: what goes next, and when what could not be written is tried again.

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::time::Instant;

use super::{
    CLIENT_PATIENCE, Entry, Journal, Stand,
    attempt::{pause, silent},
    batch,
    flight::{Aloft, Cargo, Failed, Flight, HELD_UP, Landed},
};
use crate::store::StoreError;

/// What the journal can do next.
enum Next {
    /// Hand this to the store.
    Flight(Flight),
    /// Nothing may go now.
    Wait,
    /// Nothing will come any more.
    Closed,
}

/// What the writer has before it.
struct Desk {
    aloft: Aloft,
    /// What failed alone, to be tried again at an instant.
    aside: Vec<(Instant, Failed)>,
    trouble: Option<Trouble>,
    last_write: Instant,
}

/// The database cannot be written: why, since how many attempts, and when the next one is.
struct Trouble {
    error: StoreError,
    failures: u32,
    until: Instant,
}

impl Desk {
    fn new() -> Self {
        Self {
            aloft: Aloft::default(),
            aside: Vec::new(),
            trouble: None,
            last_write: Instant::now(),
        }
    }

    /// Takes in what a flight has left, and gives back what goes to the head of the line.
    fn land(&mut self, landed: Landed) -> Vec<Entry> {
        self.aloft.remove(&landed);
        let now = Instant::now();
        if landed.wrote {
            self.last_write = now;
            self.trouble = None;
        }
        for failed in landed.failed {
            let failures = failed.entries.first().map_or(0, |entry| entry.failures);
            self.aside
                .push((now + pause(failures, landed.took), failed));
        }
        let Some((error, back)) = landed.grounded else {
            return Vec::new();
        };
        let failures = self.trouble.as_ref().map_or(0, |it| it.failures) + 1;
        let until = now + pause(failures, landed.took);
        self.trouble = Some(Trouble {
            error,
            failures,
            until,
        });
        back
    }

    /// Whether the pause after trouble is on.
    fn is_paused(&self) -> bool {
        let until = self.trouble.as_ref().map(|it| it.until);
        until.is_some_and(|until| until > Instant::now())
    }

    /// What was laid aside and is due, in one batch: once the trouble has passed all of it goes in. What
    /// must not be written any more is due at once: the next run of its workflow waits for it.
    fn take_due(&mut self, stand: &Stand, writers: usize) -> Vec<Entry> {
        if self.aside.is_empty() || !self.aloft.takes_suspects(writers) {
            return Vec::new();
        }
        let now = Instant::now();
        let mut entries = Vec::new();
        let is_void = |entry: &Entry| entry.is_void(stand).is_some();
        let is_due =
            |(at, failed): &mut (Instant, Failed)| *at <= now || failed.entries.iter().any(is_void);
        for (_, failed) in self.aside.extract_if(.., is_due) {
            if let Some(run) = failed.run {
                self.aloft.release(run);
            }
            entries.extend(failed.entries);
        }
        entries
    }

    /// When there may be something to do, if nothing happens before.
    fn wake_at(&self) -> Option<Instant> {
        let paused = self.trouble.as_ref().map(|it| it.until);
        let due = self.aside.iter().map(|(at, _)| *at);
        // While something is in the air, or nothing can be, somebody may lose patience.
        let waits = self.aloft.is_anything() || self.trouble.is_some() || !self.aside.is_empty();
        if !waits {
            return None;
        }
        let now = Instant::now();
        let look = [now + HELD_UP];
        let due = due.filter(|at| *at > now);
        paused
            .filter(|at| *at > now)
            .into_iter()
            .chain(due)
            .chain(look)
            .min()
    }
}

impl Journal {
    /// Keeps as many batches in flight as pay, until there will be none.
    pub(super) async fn write_all(&self) {
        let mut flights = FuturesUnordered::new();
        let mut desk = Desk::new();
        loop {
            match self.next(&mut desk) {
                Next::Flight(flight) => {
                    desk.aloft.add(&flight);
                    flights.push(self.fly(flight));
                    continue;
                }
                Next::Closed if flights.is_empty() => return,
                Next::Closed | Next::Wait => {}
            }
            tokio::select! {
                biased;
                Some(landed) = flights.next() => {
                    let mut back = desk.land(landed);
                    if !back.is_empty() {
                        let mut pending = self.lock();
                        back.append(&mut pending.entries);
                        pending.entries = back;
                    }
                    // Whoever was just answered hands in the next change before the next batch is
                    // taken.
                    tokio::task::yield_now().await;
                }
                () = self.arrived.notified() => {}
                () = until(desk.wake_at()) => {}
            }
            self.give_up_the_impatient(&mut desk);
        }
    }

    /// Takes what may be written now.
    fn next(&self, desk: &mut Desk) -> Next {
        let stand = self.stand();
        let is_paused = desk.is_paused();
        if !is_paused {
            let due = desk.take_due(&stand, self.store.writers());
            if !due.is_empty() {
                return Next::Flight(Flight::new(due, stand, Cargo::Suspect));
            }
        }
        loop {
            let mut pending = self.lock();
            if pending.entries.is_empty() {
                if !desk.aloft.is_anything() {
                    // Nobody asks any more: whoever comes next tries at once.
                    desk.trouble = None;
                }
                let is_over = pending.closed && desk.aside.is_empty();
                return if is_over { Next::Closed } else { Next::Wait };
            }
            let count = pending.entries.len();
            if is_paused || !desk.aloft.has_room_for(count, self.store.writers()) {
                return Next::Wait;
            }
            let entries = desk.aloft.choose(&mut pending.entries);
            drop(pending);
            if entries.is_empty() {
                return Next::Wait;
            }
            let flight = Flight::new(entries, stand.clone(), Cargo::Fresh);
            // If all of them were of a lost incarnation, others may stand behind them.
            if !flight.entries.is_empty() {
                return Next::Flight(flight);
            }
        }
    }

    /// Answers the clients in the line who have waited too long, while nothing is written at all.
    /// Where something is, their turn comes.
    fn give_up_the_impatient(&self, desk: &mut Desk) {
        let now = Instant::now();
        for (_, failed) in &mut desk.aside {
            batch::give_up(&mut failed.entries, &failed.error, |entry| {
                entry.is_late(now)
            });
        }
        desk.aside.retain(|(_, failed)| !failed.entries.is_empty());
        if now.duration_since(desk.last_write) <= CLIENT_PATIENCE {
            return;
        }
        let mut late: Vec<_> = {
            let mut pending = self.lock();
            let late = pending.entries.extract_if(.., |entry| entry.is_late(now));
            late.collect()
        };
        let error = desk.trouble.as_ref().map(|it| it.error.clone());
        batch::give_up(&mut late, &error.unwrap_or_else(silent), |_| true);
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
