//! A process with nothing to do: how soon it is ready, and what it uses.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use stepwell::{App, Ctx, Queue, workflow};

use crate::{
    Size,
    driver::{Error, process},
    table::{Goal, Spread, Table},
};

static QUEUES: [Queue; 10] = [
    Queue::new("idle-0"),
    Queue::new("idle-1"),
    Queue::new("idle-2"),
    Queue::new("idle-3"),
    Queue::new("idle-4"),
    Queue::new("idle-5"),
    Queue::new("idle-6"),
    Queue::new("idle-7"),
    Queue::new("idle-8"),
    Queue::new("idle-9"),
];

/// Ten workflows whose time does not come while this runs. They are linked, so that every
/// application of this program has them.
macro_rules! scheduled {
    ($($name:ident),*) => {$(
        #[workflow(schedule = "0 0 29 2 *")]
        async fn $name(_ctx: &mut Ctx) -> stepwell::Result<()> {
            Ok(())
        }
    )*};
}

scheduled!(
    leap_0, leap_1, leap_2, leap_3, leap_4, leap_5, leap_6, leap_7, leap_8, leap_9
);

#[workflow]
async fn at_once(_ctx: &mut Ctx) -> stepwell::Result<()> {
    Ok(())
}

pub(crate) async fn measure(table: &mut Table, size: Size, directory: &Path) -> Result<(), Error> {
    let url = format!("sqlite:{}", directory.join("idle.db").display());
    let times = if size == Size::Quick { 3 } else { 30 };
    // The first launch makes the tables, and is not counted.
    launch(&url).await?.1.shutdown().await;
    let mut launches = Vec::new();
    for _ in 0..times {
        let (took, app) = launch(&url).await?;
        launches.push(took.as_secs_f64() * 1e6);
        app.shutdown().await;
    }
    let launches = Spread::of(launches);
    table.ratio(
        "Stepwell on SQLite: start → ready, migrated database",
        format!("{launches} µs"),
        Goal::AtMost(launches.median, 40_000.0),
    );
    let app = launch_idle(&url).await?;
    let idle = Duration::from_secs(if size == Size::Quick { 1 } else { 10 });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let cpu = process::cpu();
    tokio::time::sleep(idle).await;
    let cpu = (process::cpu() - cpu).as_secs_f64() / idle.as_secs_f64() * 100.0;
    app.shutdown().await;
    table.ratio(
        "Stepwell on SQLite: idle with 10 queues and 10 schedules: CPU",
        format!("{cpu:.1} % of a core"),
        Goal::AtMost(cpu, 1.0),
    );
    Ok(())
}

/// An application that has used its queues and has nothing to do.
pub(crate) async fn launch_idle(url: &str) -> Result<App, Error> {
    let (_, app) = launch(url).await?;
    for queue in &QUEUES {
        app.run(at_once().queue(queue)).await?;
    }
    Ok(app)
}

async fn launch(url: &str) -> Result<(Duration, App), Error> {
    let begun = Instant::now();
    let app = App::builder("idle").database(url).launch().await?;
    if !app.is_ready() {
        return Err("a launched application is not ready".into());
    }
    Ok((begun.elapsed(), app))
}
