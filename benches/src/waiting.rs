//! Workflows that wait: how fast they wake, what they cost, and how fast a queue is worked off.

use crate::{
    Size,
    driver::{
        Error,
        drain::LIMIT,
        waiting::Waiting,
        wakes::{Queued, Wakes},
    },
    field::{Entry, Field, Place},
    table::{Goal, Spread, Table},
};

/// What all are measured by, in the order of the rows.
type Measurement = fn(&mut Table, Size, &Field<'_>, Entry) -> Result<(), Error>;

pub(crate) fn measure(table: &mut Table, size: Size, field: &Field<'_>) -> Result<(), Error> {
    for entry in field.entries() {
        let measurements: &[(&str, Measurement)] = if ours(entry) {
            &[("wakes", wakes), ("drain", drain), ("memory", memory)]
        } else {
            &[("wakes", wakes), ("drain", peer_drain), ("memory", memory)]
        };
        for (what, measurement) in measurements {
            match measurement(table, size, field, entry) {
                Err(error) if !ours(entry) => {
                    table.row(format!("{}: {what}", entry.name()), error.to_string());
                }
                measured => measured?,
            }
        }
    }
    Ok(())
}

fn ours(entry: Entry) -> bool {
    matches!(entry, Entry::Stepwell(_))
}

/// A row with a bound for us, without one for a peer.
fn bounded(table: &mut Table, entry: Entry, name: &str, what: String, goal: Goal) {
    let name = format!("{}: {name}", entry.name());
    if ours(entry) {
        table.ratio(name, what, goal);
    } else {
        table.row(name, what);
    }
}

fn wakes(table: &mut Table, size: Size, field: &Field<'_>, entry: Entry) -> Result<(), Error> {
    let (times, queued_times) = match (size, ours(entry)) {
        (Size::Quick, true) => (10, 10),
        (Size::Quick, false) => (5, 2),
        (Size::Full, true) => (100, 200),
        (Size::Full, false) => (40, 8),
    };
    let mut contestant = field.start(entry)?;
    let wakes: Wakes = contestant.ask(&format!("wakes {times}"))?;
    let queued: Queued = contestant.ask(&format!("queued {queued_times}"))?;
    let (first_step, result) = match entry.place() {
        Place::Sqlite => (2_000.0, 5_000.0),
        Place::Postgres => (10_000.0, 15_000.0),
    };
    for (name, values, bound) in [
        ("send → receive", wakes.send_receive, 2_000.0),
        ("event set → read", wakes.set_read, 2_000.0),
        ("finish → result", wakes.finish_result, 2_000.0),
        (
            "enqueue → first step, idle queue",
            queued.first_step,
            first_step,
        ),
        ("enqueue → result, idle queue", queued.result, result),
    ] {
        let spread = Spread::of(values);
        let what = format!("{spread} µs");
        let goal = Goal::AtMost(spread.median, bound);
        bounded(table, entry, name, what, goal);
    }
    Ok(())
}

/// Slices of a queue's work, with few and with many that wait behind them.
fn drain(table: &mut Table, size: Size, field: &Field<'_>, entry: Entry) -> Result<(), Error> {
    let (few, many, slice) = match size {
        Size::Quick => (1_000, 10_000, 500),
        Size::Full => (10_000, 1_000_000, 5_000),
    };
    let mut contestant = field.start(entry)?;
    let gone = slice + usize::try_from(LIMIT)?;
    let mut rates = |waiting, left| -> Result<Spread, Error> {
        // Filled up to the number again before each of the slices.
        let more = [waiting - left, gone, gone];
        let slices = more.map(|more| contestant.ask::<f64>(&format!("drain {more} {slice}")));
        Ok(Spread::of(slices.into_iter().collect::<Result<_, _>>()?))
    };
    let with_few = rates(few, 0)?;
    let with_many = rates(many, few - gone)?;
    let name = entry.name();
    table.row(
        format!("{name}: a queue with a limit of {LIMIT}, {few} waiting"),
        format!("{with_few} workflows/s"),
    );
    let ratio = with_many.median / with_few.median;
    table.ratio(
        format!("{name}: the same with {many} waiting"),
        format!("{ratio:.2}: {with_many} workflows/s"),
        Goal::AtLeast(ratio, 0.8),
    );
    Ok(())
}

/// A few looks into the queue.
fn peer_drain(table: &mut Table, size: Size, field: &Field<'_>, entry: Entry) -> Result<(), Error> {
    let slice = if size == Size::Quick { 100 } else { 500 };
    let mut contestant = field.start(entry)?;
    let waiting = slice + usize::try_from(LIMIT)?;
    let rate: f64 = contestant.ask(&format!("drain {waiting} {slice}"))?;
    let name = format!("{}: a queue with a limit of {LIMIT}", entry.name());
    table.row(name, format!("{rate:.0} workflows/s"));
    Ok(())
}

/// In a process that has done nothing else, so that no memory is there to be used again.
fn memory(table: &mut Table, size: Size, field: &Field<'_>, entry: Entry) -> Result<(), Error> {
    let (count, idle) = match (size, ours(entry)) {
        (Size::Quick, _) => (200, 1),
        (Size::Full, true) => (10_000, 5),
        (Size::Full, false) => (1_000, 5),
    };
    let mut contestant = field.start(entry)?;
    let waiting: Waiting = contestant.ask(&format!("waiting {count} {idle}"))?;
    let (bytes, cpu) = (waiting.bytes_each, waiting.cpu_percent);
    let name = format!("{count} that wait for a message: memory of each");
    let goal = Goal::AtMost(bytes, 4_096.0);
    bounded(table, entry, &name, format!("{bytes:.0} bytes"), goal);
    let name = format!("{count} that wait for a message: CPU");
    let goal = Goal::AtMost(cpu, 1.0);
    bounded(table, entry, &name, format!("{cpu:.1} % of a core"), goal);
    Ok(())
}
