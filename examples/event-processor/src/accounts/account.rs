//! What an account is, from what happened to it. No effects.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Something that happened to an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum AccountEvent {
    /// It was opened.
    #[serde(rename = "account.created")]
    Created {
        /// What was paid in.
        initial_balance_cents: u32,
    },
    /// Somebody paid in.
    #[serde(rename = "account.credited")]
    Credited {
        /// How much.
        amount_cents: u32,
    },
    /// Somebody took out.
    #[serde(rename = "account.debited")]
    Debited {
        /// How much.
        amount_cents: u32,
    },
    /// It was closed.
    #[serde(rename = "account.closed")]
    Closed {},
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// How many events there are of it.
    pub version: i64,
    /// What is in it.
    pub balance_cents: i64,
    /// Whether it is in use.
    pub status: Status,
}

/// Whether an account is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is.
    Active,
    /// Not any more.
    Closed,
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Closed => "closed",
        }
    }
}

/// Why something cannot happen to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It is there already.
    AlreadyThere,
    /// Nobody has opened it.
    NotThere,
    /// It was closed.
    Closed,
    /// There is too little in it.
    Overdrawn {
        /// What is in it.
        balance_cents: i64,
    },
    /// There is something in it, and who closes it must say where that goes.
    NotEmpty {
        /// What is in it.
        balance_cents: i64,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyThere => write!(f, "the account is there already"),
            Self::NotThere => write!(f, "there is no such account; create it first"),
            Self::Closed => write!(f, "the account is closed"),
            Self::Overdrawn { balance_cents } => {
                write!(f, "only {balance_cents} cents are in the account")
            }
            Self::NotEmpty { balance_cents } => write!(
                f,
                "{balance_cents} cents are in the account; take them out before you close it"
            ),
        }
    }
}

impl AccountEvent {
    /// What an account is after this.
    ///
    /// # Errors
    /// If this cannot happen to it.
    pub fn apply(&self, account: Option<Account>) -> Result<Account, Refused> {
        let change_cents = match (self, &account) {
            (Self::Created { .. }, Some(_)) => return Err(Refused::AlreadyThere),
            (
                Self::Created {
                    initial_balance_cents,
                },
                None,
            ) => i64::from(*initial_balance_cents),
            (Self::Credited { amount_cents }, _) => i64::from(*amount_cents),
            (Self::Debited { amount_cents }, _) => -i64::from(*amount_cents),
            (Self::Closed {}, _) => 0,
        };
        let before = match (self, account) {
            (_, Some(account)) => account,
            (Self::Created { .. }, None) => Account {
                version: 0,
                balance_cents: 0,
                status: Status::Active,
            },
            (_, None) => return Err(Refused::NotThere),
        };
        let balance_cents = before.balance_cents;
        if before.status == Status::Closed {
            return Err(Refused::Closed);
        }
        if balance_cents + change_cents < 0 {
            return Err(Refused::Overdrawn { balance_cents });
        }
        let closes = *self == Self::Closed {};
        if closes && balance_cents > 0 {
            return Err(Refused::NotEmpty { balance_cents });
        }
        Ok(Account {
            version: before.version + 1,
            balance_cents: balance_cents + change_cents,
            status: if closes {
                Status::Closed
            } else {
                Status::Active
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: AccountEvent = AccountEvent::Created {
        initial_balance_cents: 100,
    };
    const IN: AccountEvent = AccountEvent::Credited { amount_cents: 50 };
    const OUT: AccountEvent = AccountEvent::Debited { amount_cents: 150 };
    const CLOSE: AccountEvent = AccountEvent::Closed {};

    fn after(events: &[AccountEvent]) -> Result<Account, Refused> {
        let account = events
            .iter()
            .try_fold(None, |account, event| event.apply(account).map(Some))?;
        account.ok_or(Refused::NotThere)
    }

    #[test]
    fn what_happened_adds_up() {
        let account = after(&[OPEN, IN, OUT, CLOSE]).unwrap();
        assert_eq!((account.version, account.balance_cents), (4, 0));
        assert_eq!(account.status, Status::Closed);
    }

    #[test]
    fn what_cannot_happen_is_refused() {
        let balance_cents = 100;
        for (events, refused) in [
            (vec![IN], Refused::NotThere),
            (vec![OPEN, OPEN], Refused::AlreadyThere),
            (vec![OPEN, OUT], Refused::Overdrawn { balance_cents }),
            (vec![OPEN, CLOSE], Refused::NotEmpty { balance_cents }),
            (vec![OPEN, IN, OUT, CLOSE, IN], Refused::Closed),
        ] {
            assert_eq!(after(&events), Err(refused), "{events:?}");
        }
    }

    #[test]
    fn an_event_reads_as_it_is_sent() {
        let sent = r#"{"type":"account.created","data":{"initial_balance_cents":100}}"#;
        assert_eq!(serde_json::from_str::<AccountEvent>(sent).unwrap(), OPEN);
        assert_eq!(serde_json::to_string(&OPEN).unwrap(), sent);
    }
}
