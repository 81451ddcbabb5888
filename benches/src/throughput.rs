//! Workflows of one and of ten steps, so many at once.

use std::path::Path;

use crate::{
    Size, bare,
    contestant::Contestant,
    driver::{
        Error, number,
        rounds::{Round, Work},
    },
    field::{Entry, Field, Place},
    table::{Goal, SCORE, Spread, Table},
};

/// What one library came to in the rounds of one kind of work.
struct Score {
    entry: Entry,
    rounds: Vec<Round>,
    /// Of the database's own processes.
    server_us_per_step: Vec<f64>,
    failure: Option<String>,
}

pub(crate) fn measure(
    table: &mut Table,
    size: Size,
    directory: &Path,
    field: &Field<'_>,
) -> Result<(), Error> {
    let (at_once, rounds): (&[usize], _) = match size {
        Size::Quick => (&[1, 16], 1),
        Size::Full => (&[1, 16, 128, 1_024], 5),
    };
    let mut contestants = warm(table, field)?;
    for count in [1, 10] {
        for &at_once in at_once {
            let work = |entry| Work {
                count,
                at_once,
                total: workflows(entry, size, (count, at_once)),
            };
            let mut scores: Vec<Score> = contestants
                .iter()
                .map(|(entry, _)| Score::of(*entry))
                .collect();
            let mut floors = Vec::new();
            for _ in 0..rounds {
                // In turn, so that a slow moment of the machine hits all of them.
                for ((entry, contestant), score) in contestants.iter_mut().zip(&mut scores) {
                    score.round(field, contestant, work(*entry));
                }
                floors.push(floor(directory, size, at_once)?);
            }
            report(table, (count, at_once), &scores, &floors)?;
        }
    }
    Ok(())
}

/// Everyone, ready to be measured.
fn warm(table: &mut Table, field: &Field<'_>) -> Result<Vec<(Entry, Contestant)>, Error> {
    let ready = field.entries().into_iter().map(|entry| {
        let mut contestant = field.start(entry)?;
        table.note(entry.name(), contestant.settings.clone());
        // Connections, prepared statements, and the first pages of the tables.
        contestant.ask::<Round>("round 10 16 64")?;
        Ok((entry, contestant))
    });
    ready.collect()
}

/// Enough for a second or so.
fn workflows(entry: Entry, size: Size, (count, at_once): (u32, usize)) -> usize {
    let ours = matches!(entry, Entry::Stepwell(_));
    let full = match (ours, at_once, count) {
        (true, 1, 1) => 1_000,
        (true, 1, _) => 200,
        (true, 16, 1) => 10_000,
        (true, 16, _) => 2_000,
        (true, _, 1) => 40_000,
        (true, _, _) => 8_000,
        (false, 1, 1) => 500,
        (false, 1, _) => 100,
        (false, 1_024, _) => 1_024,
        (false, _, 1) => 1_000,
        (false, _, _) => 384,
    };
    if size == Size::Quick { 50 } else { full }
}

/// Bare rows.
fn floor(directory: &Path, size: Size, batch: usize) -> Result<bare::Bare, Error> {
    let rows = match (size, batch) {
        (Size::Quick, _) => 200,
        (Size::Full, 1) => 2_000,
        (Size::Full, 16) => 40_000,
        (Size::Full, _) => 200_000,
    };
    Ok(bare::write(&directory.join("bare.db"), rows, batch)?)
}

impl Score {
    fn of(entry: Entry) -> Self {
        Self {
            entry,
            rounds: Vec::new(),
            server_us_per_step: Vec::new(),
            failure: None,
        }
    }

    /// A peer that fails is reported; the others go on.
    fn round(&mut self, field: &Field<'_>, contestant: &mut Contestant, work: Work) {
        let Work {
            count,
            at_once,
            total,
        } = work;
        let before = field.server_cpu(self.entry);
        match contestant.ask(&format!("round {count} {at_once} {total}")) {
            Ok(round) => self.rounds.push(round),
            Err(error) => self.failure = Some(error.to_string()),
        }
        if let (Some(before), Some(after)) = (before, field.server_cpu(self.entry)) {
            let used = after.saturating_sub(before).as_secs_f64() * 1e6;
            let steps = number(total) * f64::from(count);
            self.server_us_per_step.push(used / steps);
        }
    }

    fn spread(&self, pick: fn(&Round) -> f64) -> Spread {
        Spread::of(self.rounds.iter().map(pick).collect())
    }

    fn rate(&self) -> Spread {
        self.spread(|round| round.workflows_per_second)
    }

    /// A line of the table, with what it stands beside at its end.
    fn line(&self, count: u32, beside: String) -> [String; SCORE.len()] {
        let rate = self.rate();
        let of = |pick| format!("{:.0}", self.spread(pick).median);
        let cpu = self.spread(|round| round.cpu_us_per_step);
        let server = Spread::of(self.server_us_per_step.clone()).median;
        [
            format!("  {}", self.entry.name()),
            rate.to_string(),
            format!("{:.0}", rate.median * f64::from(count)),
            of(|round| round.workflow_p50_us),
            of(|round| round.workflow_p99_us),
            of(|round| round.step_p50_us),
            of(|round| round.step_p99_us),
            if server.is_nan() {
                format!("{:.0}", cpu.median)
            } else {
                format!("{:.0} + {server:.0} in the server", cpu.median)
            },
            beside,
        ]
    }
}

fn report(
    table: &mut Table,
    work: (u32, usize),
    scores: &[Score],
    floors: &[bare::Bare],
) -> Result<(), Error> {
    let mut heading: [String; SCORE.len()] = Default::default();
    heading[0] = name(work);
    table.score(heading.clone());
    for score in scores {
        if let Some(failure) = &score.failure {
            if matches!(score.entry, Entry::Stepwell(_)) {
                return Err(failure.clone().into());
            }
            heading[0] = format!("  {}: {failure}", score.entry.name());
            table.score(heading.clone());
            continue;
        }
        let beside = match score.entry {
            Entry::Stepwell(_) => String::new(),
            Entry::Durare(_) | Entry::Dbos => beside_peer(table, work, scores, score),
        };
        table.score(score.line(work.0, beside));
        match score.entry {
            Entry::Stepwell(Place::Sqlite) => beside_bare(table, work, score, floors),
            Entry::Stepwell(Place::Postgres) if work == (10, 16) => cpu(table, work, score),
            _ => {}
        }
    }
    Ok(())
}

/// What a workflow costs the process, and the server.
fn cpu(table: &mut Table, work: (u32, usize), score: &Score) {
    let (steps, name) = (f64::from(work.0), score.entry.name());
    let process = score.spread(|round| round.cpu_us_per_step);
    let server = Spread::of(score.server_us_per_step.clone());
    for (whose, used, bound) in [
        ("the process", process, 300.0),
        ("the server", server, 500.0),
    ] {
        let used = used.times(steps);
        table.ratio(
            format!(
                "{}: {name}: CPU of {whose} for a workflow",
                self::name(work)
            ),
            format!("{used} µs"),
            Goal::AtMost(used.median, bound),
        );
    }
}

fn name((count, at_once): (u32, usize)) -> String {
    let steps = if count == 1 { "step" } else { "steps" };
    format!("{count} {steps}, {at_once} at once")
}

/// How many times as many workflows ours runs in a second as the peer.
fn beside_peer(table: &mut Table, work: (u32, usize), scores: &[Score], peer: &Score) -> String {
    let ours = peer.entry.beside();
    let Some(score) = scores.iter().find(|score| score.entry == ours) else {
        return String::new();
    };
    let ratio = score.rate().median / peer.rate().median;
    if let Some(times) = goal(peer.entry, work) {
        let title = format!("{}: {} beside", name(work), ours.name());
        table.ratio(
            format!("{title} {}", peer.entry.name()),
            format!("{ratio:.1} times as many workflows/s"),
            Goal::AtLeast(ratio, times),
        );
    }
    format!("{ratio:.1}×")
}

/// How many times as many workflows ours is to run as a peer.
fn goal(peer: Entry, work: (u32, usize)) -> Option<f64> {
    match (peer, work) {
        (Entry::Durare(Place::Sqlite), (10, 128)) => Some(20.0),
        (Entry::Dbos, (10, 128)) => Some(15.0),
        (Entry::Dbos, (10, 16)) => Some(6.0),
        (Entry::Dbos, (1, 128)) => Some(8.0),
        (Entry::Dbos, (1, 16)) => Some(4.0),
        (Entry::Dbos, (_, 1)) => Some(2.0),
        _ => None,
    }
}

fn beside_bare(table: &mut Table, work: (u32, usize), ours: &Score, floors: &[bare::Bare]) {
    let (count, at_once) = work;
    let floor = |pick: fn(&bare::Bare) -> f64| Spread::of(floors.iter().map(pick).collect());
    // Everything that is written: the input, the steps, the result, and the workflow's own row.
    let rows = ours.rate().times(f64::from(count) + 3.0);
    let bare_rows = floor(|bare| bare.rows_per_second);
    let ratio = rows.median / bare_rows.median;
    let title = format!("{}: rows beside bare rows", name(work));
    let what = format!("{ratio:.2}: {rows} rows/s beside {bare_rows} bare, {at_once} in a commit");
    if work == (10, 128) {
        table.ratio(title, what, Goal::AtLeast(ratio, 0.5));
    } else {
        table.row(title, what);
    }
    if work == (10, 1) {
        // A tenth of the workflow: its start and its end are part of what a step costs.
        let step = ours.spread(|round| round.workflow_p50_us).times(0.1);
        let commit = floor(|bare| bare.commit_p50_us);
        let ratio = step.median / commit.median;
        let what = format!("{ratio:.2}: {step} µs for a tenth beside {commit} µs, p50");
        let title = format!("{}: a step beside a bare commit", name(work));
        table.ratio(title, what, Goal::AtMost(ratio, 1.3));
    }
}
