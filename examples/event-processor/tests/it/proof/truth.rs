//! What is so in the end: in the tables, in the workflows, in the dead letters, in the metrics.

use std::{collections::BTreeMap, time::Duration};

use event_processor::{alerts::page, processor::Processor};
use serde_json::Value;
use sqlx::PgPool;
use stepwell::{App, Client, Workflow as _};

use super::{
    fleet::Fleet,
    load::{Load, PRODUCTS},
};

/// By name and state. Without the pages: how many of them there are is a matter of time.
pub(super) type Counts = BTreeMap<(String, String), u64>;

pub(super) struct Truth {
    db: PgPool,
    client: Client,
}

impl Truth {
    pub(super) async fn open(url: &str) -> Self {
        let processor = Processor::open(url).await.unwrap();
        let db = processor.db.clone();
        sqlx::query("insert into inventory select 'p' || n, 1000 from generate_series(0, $1) as n")
            .bind(i64::try_from(PRODUCTS).unwrap() - 1)
            .execute(&db)
            .await
            .unwrap();
        // Only looks: it is not launched, and runs nothing.
        let app = App::builder("event-processor")
            .state(processor)
            .database(url);
        let client = app.build().await.unwrap().client().clone();
        Self { db, client }
    }

    async fn counts(&self) -> Counts {
        let mut counts = Counts::new();
        let tallies = self.client.tallies().await.unwrap().into_iter();
        for tally in tallies.filter(|tally| tally.name != page::NAME) {
            let of = (tally.name, tally.state.as_str().to_owned());
            *counts.entry(of).or_default() += tally.count;
        }
        counts
    }

    /// Returns when so many workflows have ended.
    pub(super) async fn reaches(&self, ended: usize) {
        let is_done = |state: &str| state == "succeeded" || state == "failed";
        loop {
            let counts = self.counts().await;
            let done = counts.iter().filter(|((_, state), _)| is_done(state));
            if done.map(|(_, count)| count).sum::<u64>() >= ended as u64 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Answers the counts that all agree on.
    pub(super) async fn holds(&self, load: &Load, fleet: &Fleet) -> Counts {
        let expected = [
            ("handle_order", "succeeded", load.orders()),
            ("process_event", "succeeded", load.logged()),
            (
                "process_inventory_update",
                "succeeded",
                load.inventory_updates(),
            ),
            ("stepwell.poison", "failed", load.poison()),
        ];
        let expected = expected
            .map(|(name, state, count)| ((name.to_owned(), state.to_owned()), count as u64));
        let expected = Counts::from(expected);
        assert_eq!(self.counts().await, expected, "workflows");
        assert_eq!(measured(&fleet.get("/metrics").await), expected, "metrics");
        for (what, sql, count) in [
            (
                "changes of what is in stock",
                "select cast(sum(quantity - 1000) as bigint) from inventory where product_id like 'p%'",
                load.inventory_updates(),
            ),
            (
                "rows in the log",
                "select count(*) from event_log",
                load.logged(),
            ),
            (
                "events in the log",
                "select count(distinct (source, event_id)) from event_log",
                load.logged(),
            ),
            ("orders", "select count(*) from orders", load.orders()),
            (
                "lines of orders",
                "select count(*) from order_items",
                load.orders(),
            ),
            (
                "letters to customers",
                "select count(distinct what) from outside where service = 'mail'",
                load.orders(),
            ),
            (
                "letters to customers, counted otherwise",
                "select count(*) from outside where service = 'mail'",
                load.orders(),
            ),
        ] {
            let found: i64 = sqlx::query_scalar(sql).fetch_one(&self.db).await.unwrap();
            assert_eq!(usize::try_from(found).unwrap(), count, "{what}");
        }
        let groups = fleet.get("/dead-letters/groups").await;
        let groups: Value = serde_json::from_str(&groups).unwrap();
        let groups = groups["groups"].as_array().unwrap().iter();
        let letters: u64 = groups.map(|group| group["count"].as_u64().unwrap()).sum();
        assert_eq!(letters, load.poison() as u64, "dead letters");
        expected
    }
}

/// What the gauge of workflows shows: `stepwell_workflows{name="…",origin="…",state="…"} 7`.
fn measured(metrics: &str) -> Counts {
    let mut counts = Counts::new();
    let lines = metrics.lines();
    for line in lines.filter_map(|line| line.strip_prefix("stepwell_workflows{")) {
        let (labels, count) = line.rsplit_once("} ").unwrap();
        let label = |name: &str| {
            let begin = labels.find(&format!("{name}=\"")).unwrap() + name.len() + 2;
            let value = &labels[begin..];
            value[..value.find('"').unwrap()].to_owned()
        };
        let of = (label("name"), label("state"));
        if of.0 != page::NAME {
            *counts.entry(of).or_default() += count.parse::<u64>().unwrap();
        }
    }
    counts
}
