//! Event sourcing: what happens to an account is written down, and what the account is follows from it.

mod account;
mod rebuild;

pub use account::{Account, AccountEvent, Refused, Status};
pub use rebuild::{REBUILT, rebuild_accounts};

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use stepwell::{Ctx, Failure, PostgresTx, axum::HttpError, transaction, workflow};

use crate::{names::check_name, processor::Processor};

/// The request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Append {
    /// The account.
    pub account_id: String,
    /// The account's version as the caller knows it; 0 if there is none yet. If something has happened
    /// since then, the event is refused.
    pub expected_version: i64,
    /// What has happened.
    pub event: AccountEvent,
}

/// Writes an event down, and answers what the account is now.
#[workflow]
pub async fn append_event(ctx: &mut Ctx<Processor>, append: Append) -> stepwell::Result<Account> {
    check_name("account_id", &append.account_id)?;
    ctx.run(append_to_account(&append)).await
}

/// The event and its projection are one commit: nobody sees the one without the other.
#[transaction]
async fn append_to_account(tx: &mut PostgresTx, append: &Append) -> stepwell::Result<Account> {
    let account_id = append.account_id.as_str();
    lock(tx, account_id).await?;
    let account = projected(tx, account_id).await?;
    let version = account.as_ref().map_or(0, |account| account.version);
    if version != append.expected_version {
        let said = format!(
            "account `{account_id}` is at version {version}, not {}; read it again",
            append.expected_version
        );
        let conflict = HttpError::new(StatusCode::CONFLICT).code("VERSION_CONFLICT");
        return Err(conflict.message(said))?;
    }
    let account = append.event.apply(account).map_err(|refused| {
        let unprocessable = HttpError::new(StatusCode::UNPROCESSABLE_ENTITY).code("REFUSED");
        Failure::from(unprocessable.message(refused.to_string()))
    })?;
    sqlx::query("insert into account_events (account_id, version, event) values ($1, $2, $3)")
        .bind(account_id)
        .bind(account.version)
        .bind(Json(&append.event))
        .execute(&mut *tx)
        .await?;
    project(tx, account_id, &account).await?;
    Ok(account)
}

/// Keeps other transactions from an account until this one has ended. Whoever locks several does so in
/// the order of their ids.
async fn lock(tx: &mut PostgresTx, account_id: &str) -> stepwell::Result<()> {
    sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 0))")
        .bind(account_id)
        .execute(&mut *tx)
        .await?;
    Ok(())
}

/// What the projection says of an account.
async fn projected(tx: &mut PostgresTx, account_id: &str) -> stepwell::Result<Option<Account>> {
    let found: Option<Json<Account>> = sqlx::query_scalar(
        "select to_jsonb(accounts)
         from accounts
         where account_id = $1",
    )
    .bind(account_id)
    .fetch_optional(&mut *tx)
    .await?;
    Ok(found.map(|Json(account)| account))
}

/// Writes what an account is into the projection.
async fn project(tx: &mut PostgresTx, account_id: &str, account: &Account) -> stepwell::Result<()> {
    sqlx::query(
        "insert into accounts (account_id, version, balance_cents, status)
         values ($1, $2, $3, $4)
         on conflict (account_id) do update
         set version = excluded.version,
             balance_cents = excluded.balance_cents,
             status = excluded.status",
    )
    .bind(account_id)
    .bind(account.version)
    .bind(account.balance_cents)
    .bind(account.status.name())
    .execute(&mut *tx)
    .await?;
    Ok(())
}
