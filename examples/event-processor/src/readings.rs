//! Composite ids: events that nobody has given an id.

use axum::{Json, extract::State, http::Extensions};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stepwell::{
    App, Ctx, PostgresTx, StartOutcome,
    axum::{Problem, StoreTimeout},
    events::{EventId, event_id},
    transaction, workflow,
};

use crate::{names::check_name, processor::Processor};

/// What a sensor says. All of it together tells it from others: the same reading twice is one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// The sensor.
    pub sensor: String,
    /// When it was taken, in the sensor's words.
    pub taken_at: String,
    /// What was measured.
    pub value: f64,
}

impl Reading {
    /// A digest of what it says. The time alone would not do: two sensors may have the same one.
    #[must_use]
    pub fn id(&self) -> EventId {
        let value = self.value.to_string();
        event_id("reading", &[&self.sensor, &self.taken_at, &value])
    }
}

/// `POST /readings`.
///
/// # Errors
/// 422 if a text is no name, 503 without a database that answers in time.
pub async fn read(
    State(app): State<App<Processor>>,
    extensions: Extensions,
    Json(reading): Json<Reading>,
) -> Result<Json<Value>, Problem> {
    check_name("sensor", &reading.sensor)?;
    check_name("taken_at", &reading.taken_at)?;
    let id = reading.id();
    let start = async { app.start_new(process_reading(reading).id(id)).await };
    let (handle, outcome) = StoreTimeout::of(&extensions).bound(start).await?;
    let duplicate = outcome != StartOutcome::New;
    Ok(Json(json!({ "id": handle.id(), "duplicate": duplicate })))
}

/// Keeps a reading.
#[workflow]
pub async fn process_reading(ctx: &mut Ctx<Processor>, reading: Reading) -> stepwell::Result<()> {
    ctx.run(insert_reading(&reading)).await
}

#[transaction]
async fn insert_reading(tx: &mut PostgresTx, reading: &Reading) -> stepwell::Result<()> {
    sqlx::query("insert into readings (sensor, taken_at, value) values ($1, $2, $3)")
        .bind(&reading.sensor)
        .bind(&reading.taken_at)
        .bind(reading.value)
        .execute(&mut *tx)
        .await?;
    Ok(())
}
