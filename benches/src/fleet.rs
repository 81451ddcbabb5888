//! Stepwell's processes beside each other, and workflows that are in none of them.

use crate::{
    Size,
    alone::now_us,
    driver::Error,
    field::{Entry, Field, Place},
    table::{Goal, Spread, Table},
};

pub(crate) fn measure(table: &mut Table, size: Size, field: &Field<'_>) -> Result<(), Error> {
    for entry in field.entries() {
        if let Entry::Stepwell(place) = entry {
            across(table, size, field, place)?;
            takeover(table, size, field, place)?;
            parked(table, size, field, place)?;
        }
    }
    Ok(())
}

/// A workflow runs in one process, and another one talks to it.
fn across(table: &mut Table, size: Size, field: &Field<'_>, place: Place) -> Result<(), Error> {
    let times = if size == Size::Quick { 5 } else { 100 };
    let [mut one, mut other] = field.start_together(place)?;
    let (mut received, mut read, mut heard) = (Vec::new(), Vec::new(), Vec::new());
    for time in 0..times {
        one.ask::<()>(&format!("answer order-{time}"))?;
        let [to, back, end]: [f64; 3] = other.ask(&format!("ask order-{time}"))?;
        received.push(to);
        read.push(back);
        heard.push(end);
    }
    for (what, values) in [
        ("send → receive", received),
        ("event set → read", read),
        ("finish → result", heard),
    ] {
        let spread = Spread::of(values);
        table.ratio(
            format!("{}: {what}, another process", Entry::Stepwell(place).name()),
            format!("{spread} µs"),
            Goal::AtMost(spread.median, 10_000.0),
        );
    }
    Ok(())
}

/// A process is killed, and another one goes on with its workflows.
fn takeover(table: &mut Table, size: Size, field: &Field<'_>, place: Place) -> Result<(), Error> {
    let (kills, workflows) = if size == Size::Quick {
        (1, 5)
    } else {
        (3, 100)
    };
    let mut latencies = Vec::new();
    for _ in 0..kills {
        let [mut one, mut other] = field.start_together(place)?;
        one.ask::<()>(&format!("hold {workflows}"))?;
        drop(one);
        let killed = now_us();
        let held: Vec<f64> = other.ask(&format!("held {workflows} {killed}"))?;
        latencies.extend(held.into_iter().map(|us| us / 1e3));
    }
    let spread = Spread::of(latencies);
    // Processes on one file see that one is gone. On Postgres a lease has to end: it may have been
    // a machine.
    let bound = match place {
        Place::Sqlite => 1_000.0,
        Place::Postgres => 10_000.0,
    };
    table.ratio(
        format!(
            "{}: kill -9 → every workflow goes on elsewhere",
            Entry::Stepwell(place).name()
        ),
        format!("{spread} ms"),
        Goal::AtMost(spread.most, bound),
    );
    Ok(())
}

/// Very many that wait and are in no process.
fn parked(table: &mut Table, size: Size, field: &Field<'_>, place: Place) -> Result<(), Error> {
    let (count, lot, wakes) = match size {
        Size::Quick => (1_000, 1_000, 5),
        Size::Full => (1_000_000, 50_000, 100),
    };
    let name = Entry::Stepwell(place).name();
    let mut one = field.start_one(place)?;
    for from in (0..count).step_by(lot) {
        one.ask::<()>(&format!("park {from} {}", from + lot))?;
    }
    let resident: f64 = one.ask("resident")?;
    let mebibytes = resident / (1024.0 * 1024.0);
    table.ratio(
        format!("{name}: {count} parked: memory of the process"),
        format!("{mebibytes:.0} MiB"),
        Goal::AtMost(mebibytes, 300.0),
    );
    // All over them, not those that came last.
    let numbers = (0..wakes).map(|wake| wake * (count / wakes));
    let woken = numbers.map(|number| one.ask::<f64>(&format!("wake {number}")));
    let spread = Spread::of(woken.collect::<Result<_, _>>()?);
    table.ratio(
        format!("{name}: {count} parked: send → goes on"),
        format!("{spread} µs"),
        Goal::AtMost(spread.median, 50_000.0),
    );
    Ok(())
}
