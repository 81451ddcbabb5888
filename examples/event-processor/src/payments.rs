//! Idempotency keys: payments.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use stepwell::{Attempt, Ctx, PostgresTx, axum::HttpError, step, transaction, workflow};

use crate::{
    names::check_name,
    outside::{Outside, Service, patience},
    processor::Processor,
};

/// The request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Who pays.
    pub customer_id: String,
    /// How much.
    pub amount_cents: u32,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paid {
    /// The payment, as the processor calls it.
    pub payment_id: String,
    /// The charge, as the gateway calls it.
    pub charge_id: String,
    /// `completed`.
    pub status: String,
}

/// Charges a customer once for each idempotency key, which is in the workflow's id.
#[workflow]
pub async fn process_payment(ctx: &mut Ctx<Processor>, payment: Payment) -> stepwell::Result<Paid> {
    if payment.amount_cents == 0 {
        let nothing = HttpError::new(StatusCode::BAD_REQUEST).code("NOTHING_TO_PAY");
        return Err(nothing.message("`amount_cents` is 0; pay at least 1"))?;
    }
    check_name("customer_id", &payment.customer_id)?;
    let payment_id = ctx.uuid().await.to_string();
    ctx.run(create_payment(&payment_id, &payment)).await?;
    let charge_id = ctx.run(charge(&payment).retry(patience())).await?;
    ctx.run(complete_payment(&payment_id, &charge_id)).await?;
    Ok(Paid {
        payment_id,
        charge_id,
        status: "completed".to_owned(),
    })
}

#[transaction]
async fn create_payment(
    tx: &mut PostgresTx,
    payment_id: &str,
    payment: &Payment,
) -> stepwell::Result<()> {
    sqlx::query("insert into payments (payment_id, customer_id, amount_cents) values ($1, $2, $3)")
        .bind(payment_id)
        .bind(&payment.customer_id)
        .bind(i64::from(payment.amount_cents))
        .execute(&mut *tx)
        .await?;
    Ok(())
}

#[step]
async fn charge(
    #[state] outside: &Outside,
    #[attempt] attempt: &Attempt,
    payment: &Payment,
) -> stepwell::Result<String> {
    let Payment {
        customer_id,
        amount_cents,
    } = payment;
    let what = format!("{amount_cents} cents from {customer_id}");
    Ok(outside.ask(Service::Gateway, attempt, &what).await?)
}

#[transaction]
async fn complete_payment(
    tx: &mut PostgresTx,
    payment_id: &str,
    charge_id: &str,
) -> stepwell::Result<()> {
    sqlx::query(
        "update payments
         set status = 'completed',
             charge_id = $2
         where payment_id = $1",
    )
    .bind(payment_id)
    .bind(charge_id)
    .execute(&mut *tx)
    .await?;
    Ok(())
}
