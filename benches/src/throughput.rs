//! Workflows of one and of ten steps, so many at once.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use futures_util::future::try_join_all;
use stepwell::{App, Ctx, step, workflow};

use crate::{
    Size, bare, machine,
    table::{Goal, Spread, Table},
};

type Error = Box<dyn std::error::Error>;

#[step]
async fn nop(number: u32) -> stepwell::Result<u32> {
    Ok(number)
}

#[workflow]
async fn steps(ctx: &mut Ctx, count: u32) -> stepwell::Result<u32> {
    let mut sum = 0;
    for number in 0..count {
        sum += ctx.run(nop(number)).await?;
    }
    Ok(sum)
}

/// One measurement.
struct Round {
    workflows_per_second: f64,
    /// Everything that was written: input, steps, result, and the workflow's row.
    rows_per_second: f64,
    cpu_us_per_step: f64,
    step_us: f64,
    workflow_p50_us: f64,
    workflow_p99_us: f64,
}

pub(crate) async fn measure(table: &mut Table, size: Size, directory: &Path) -> Result<(), Error> {
    let (at_once, rounds): (&[usize], _) = match size {
        Size::Quick => (&[1, 16], 1),
        Size::Full => (&[1, 16, 128, 1_024], 5),
    };
    let file = directory.join("workflows.db");
    let app = App::builder("benches")
        .database(format!("sqlite:{}", file.display()))
        .launch()
        .await?;
    for count in [1, 10] {
        for &at_once in at_once {
            let total = workflows(size, count, at_once);
            let (mut ours, mut floors) = (Vec::new(), Vec::new());
            for _ in 0..rounds {
                // In turn, so that a slow moment of the machine hits both.
                ours.push(run(&app, count, at_once, total).await?);
                floors.push(floor(directory, size, at_once).await?);
            }
            report(table, (count, at_once), &ours, &floors);
        }
    }
    app.shutdown().await;
    Ok(())
}

fn workflows(size: Size, count: u32, at_once: usize) -> usize {
    let full = match at_once {
        1 => 500,
        16 => 4_000,
        _ => 20_000,
    };
    let shorter = if count > 1 { 5 } else { 1 };
    match size {
        Size::Quick => 50,
        Size::Full => full / shorter,
    }
}

/// Bare rows, on a thread that may block.
async fn floor(directory: &Path, size: Size, batch: usize) -> Result<bare::Bare, Error> {
    let rows = match (size, batch) {
        (Size::Quick, _) => 200,
        (Size::Full, 1) => 2_000,
        (Size::Full, 16) => 40_000,
        (Size::Full, _) => 200_000,
    };
    let file = directory.join("bare.db");
    Ok(tokio::task::spawn_blocking(move || bare::write(&file, rows, batch)).await??)
}

async fn run(app: &App, count: u32, at_once: usize, total: usize) -> Result<Round, Error> {
    let left = Arc::new(AtomicUsize::new(total));
    let latencies = Arc::new(Mutex::new(Vec::with_capacity(total)));
    let (cpu, started) = (machine::cpu(), Instant::now());
    let runners = (0..at_once).map(|_| {
        let (app, left, latencies) = (app.clone(), Arc::clone(&left), Arc::clone(&latencies));
        tokio::spawn(async move {
            let one_less = |left: usize| left.checked_sub(1);
            while left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less)
                .is_ok()
            {
                let begun = Instant::now();
                app.run(steps(count))
                    .await
                    .map_err(|error| error.to_string())?;
                let took = begun.elapsed().as_secs_f64() * 1e6;
                latencies
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(took);
            }
            Ok::<(), String>(())
        })
    });
    for ended in try_join_all(runners).await? {
        ended?;
    }
    let seconds = started.elapsed().as_secs_f64();
    let cpu = (machine::cpu() - cpu).as_secs_f64();
    let mut latencies = latencies
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    latencies.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of a benchmark are far below 2^52"
    )]
    let (total, count) = (total as f64, f64::from(count));
    let at = |part: usize| {
        latencies
            .get(latencies.len() * part / 100)
            .copied()
            .unwrap_or(f64::NAN)
    };
    Ok(Round {
        workflows_per_second: total / seconds,
        rows_per_second: total * (count + 3.0) / seconds,
        cpu_us_per_step: cpu * 1e6 / (total * count),
        step_us: at(50) / count,
        workflow_p50_us: at(50),
        workflow_p99_us: at(99),
    })
}

fn report(
    table: &mut Table,
    (count, at_once): (u32, usize),
    ours: &[Round],
    floors: &[bare::Bare],
) {
    let name = format!("{count}-step workflows, {at_once} at once");
    let of = |pick: fn(&Round) -> f64| Spread::of(ours.iter().map(pick).collect());
    let floor = |pick: fn(&bare::Bare) -> f64| Spread::of(floors.iter().map(pick).collect());
    let rate = of(|round| round.workflows_per_second);
    let (p50, p99) = (
        of(|round| round.workflow_p50_us),
        of(|round| round.workflow_p99_us),
    );
    let cpu = of(|round| round.cpu_us_per_step);
    table.row(
        name.clone(),
        format!(
            "{rate} workflows/s, {:.0} steps/s, p50 {:.0} µs, p99 {:.0} µs, {:.1} µs CPU per step",
            rate.median * f64::from(count),
            p50.median,
            p99.median,
            cpu.median
        ),
    );
    let (rows, bare_rows) = (
        of(|round| round.rows_per_second),
        floor(|bare| bare.rows_per_second),
    );
    let ratio = rows.median / bare_rows.median;
    let what = format!("{ratio:.2}: {rows} rows/s beside {bare_rows} bare, {at_once} in a commit");
    if at_once == 128 && count == 10 {
        table.ratio("  rows beside bare rows", what, Goal::AtLeast(ratio, 0.5));
    } else {
        table.row("  rows beside bare rows", what);
    }
    if at_once == 1 && count == 10 {
        let (step, commit) = (of(|round| round.step_us), floor(|bare| bare.commit_us));
        let ratio = step.median / commit.median;
        let what = format!("{ratio:.2}: {step} µs for a step beside {commit} µs for a bare commit");
        table.ratio(
            "  a step beside a bare commit",
            what,
            Goal::AtMost(ratio, 1.3),
        );
    }
}
