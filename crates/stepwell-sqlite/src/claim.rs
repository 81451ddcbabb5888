//! An executor takes what waits.
//!
//! Every look is bounded by the claim's limit, whatever waits: by queue, key and name, the first in
//! line first.

mod candidates;
mod lanes;
mod queue;
pub(crate) mod stuck;
mod take;

pub(crate) use self::take::{owned, owned_keys};

use jiff::Timestamp;
use rusqlite::Connection;
use stepwell_core::store::{Claim, Claimed, Turns};

use crate::{change::fence, error::Failure};

#[cfg(test)]
pub(crate) use self::{
    candidates::{DUE, QUEUES, WAITING},
    lanes::{KEY_BEHIND, KEY_FROM},
    queue::{RUNNING_ALL, RUNNING_HERE, RUNNING_OF, RUNNING_OF_NOBODY},
    take::{FIND, OWNED, OWNED_KEYS, RUN},
};

/// How often a claim looks again when what it found was dead or too late.
const ROUNDS_MAX: u32 = 8;

/// Takes up to the claim's limit. Runs in one transaction, so that no two executors take the last
/// place of a queue.
pub(crate) fn claim(
    db: &Connection,
    claim: &Claim,
    turns: &Turns,
    now: Timestamp,
) -> Result<Vec<Claimed>, Failure> {
    fence(db, &claim.executor)?;
    candidates::wake_delayed(db, now)?;
    let mut claimed = Vec::new();
    for _ in 0..ROUNDS_MAX {
        let found = candidates::find(db, (claim, turns), left(claim, &claimed), now)?;
        let enough = claimed.len() + found.len();
        for key in found {
            claimed.extend(take::take(db, claim, key, now)?);
        }
        if claimed.len() == enough {
            break;
        }
    }
    // After the others run: they may have filled the queues.
    for key in stuck::find(db, claim, left(claim, &claimed), now)? {
        claimed.extend(take::take(db, claim, key, now)?);
    }
    Ok(claimed)
}

/// How many more the claim may have.
fn left(claim: &Claim, claimed: &[Claimed]) -> u32 {
    claim
        .limit
        .saturating_sub(u32::try_from(claimed.len()).unwrap_or(u32::MAX))
}
