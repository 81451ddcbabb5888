//! Makes the projection anew from the events, while others go on to append.

use sqlx::types::Json;
use stepwell::{Ctx, Event, Failure, PostgresTx, transaction, workflow};

use super::{Account, AccountEvent, lock, project};
use crate::processor::Processor;

/// How many accounts are rebuilt so far.
pub const REBUILT: Event<u64> = Event::new("rebuilt");

/// How many accounts are rebuilt, and locked, at once.
const PAGE: i64 = 100;

/// Rebuilds all accounts, a page in each transaction, and answers how many there were. After a crash it
/// goes on with the page that was not committed.
#[workflow]
pub async fn rebuild_accounts(ctx: &mut Ctx<Processor>) -> stepwell::Result<u64> {
    let (mut after, mut rebuilt) = (String::new(), 0);
    loop {
        let page = ctx.run(rebuild_page(&after)).await?;
        let Some(last) = page.last else {
            return Ok(rebuilt);
        };
        rebuilt += page.accounts;
        ctx.set_event(REBUILT, rebuilt).await;
        after = last;
    }
}

/// What a page held.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Page {
    /// How many accounts.
    accounts: u64,
    /// The id of the last one.
    last: Option<String>,
}

#[transaction]
async fn rebuild_page(tx: &mut PostgresTx, after: &str) -> stepwell::Result<Page> {
    let ids: Vec<String> = sqlx::query_scalar(
        "select distinct account_id
         from account_events
         where account_id > $1
         order by account_id
         limit $2",
    )
    .bind(after)
    .bind(PAGE)
    .fetch_all(&mut *tx)
    .await?;
    for account_id in &ids {
        rebuild_account(tx, account_id).await?;
    }
    Ok(Page {
        accounts: ids.len() as u64,
        last: ids.last().cloned(),
    })
}

async fn rebuild_account(tx: &mut PostgresTx, account_id: &str) -> stepwell::Result<()> {
    lock(tx, account_id).await?;
    let events: Vec<Json<AccountEvent>> = sqlx::query_scalar(
        "select event
         from account_events
         where account_id = $1
         order by version",
    )
    .bind(account_id)
    .fetch_all(&mut *tx)
    .await?;
    let account = events
        .iter()
        .try_fold(None, |account: Option<Account>, Json(event)| {
            event.apply(account).map(Some)
        })
        .map_err(|refused| {
            let what = format!("the events of account `{account_id}` contradict each other");
            Failure::msg(refused).context(what).permanent()
        })?;
    match account {
        Some(account) => project(tx, account_id, &account).await,
        None => Ok(()),
    }
}
