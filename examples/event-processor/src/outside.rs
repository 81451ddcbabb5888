//! Services of others: a payment gateway, a mailer, a build server, the operators' pager.
//!
//! These are stand-ins that write down what they were asked for. What matters of a real one is here: it
//! takes an idempotency key, and does what comes twice with one key once. A step that was cut short runs
//! again, with the same key.

use std::time::Duration;

use sqlx::PgPool;
use stepwell::{Attempt, Failure, Retry};

/// How often a service is asked that does not answer.
const ATTEMPTS: u32 = 10;
/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// How steps that ask a service are tried again. What it refuses for good is an error that says so
/// ([`Failure::permanent`]), and ends the attempts.
#[must_use]
pub fn patience() -> Retry<Failure> {
    Retry::times(ATTEMPTS).cap(PAUSE_MAX)
}

/// A service, by what the table `outside` calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Charges cards.
    Gateway,
    /// Writes to customers.
    Mail,
    /// Tells those who buy products.
    Buyers,
    /// Builds and deploys.
    Builds,
    /// Tells operators.
    Pager,
}

impl Service {
    fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Mail => "mail",
            Self::Buyers => "buyers",
            Self::Builds => "builds",
            Self::Pager => "pager",
        }
    }
}

/// The services. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Outside(PgPool);

impl Outside {
    /// Keeps what they are asked for in the table `outside`, which is no part of any transaction of a
    /// workflow: as little as a real service is.
    #[must_use]
    pub fn new(db: PgPool) -> Self {
        Self(db)
    }

    /// Asks for something, and answers its reference. The same attempt's key asks for the same thing.
    ///
    /// # Errors
    /// If the service does not answer.
    pub async fn ask(
        &self,
        service: Service,
        attempt: &Attempt,
        what: &str,
    ) -> Result<String, sqlx::Error> {
        let reference: i64 = sqlx::query_scalar(
            "insert into outside (service, idempotency_key, what)
             values ($1, $2, $3)
             on conflict (service, idempotency_key) do update set asked = outside.asked + 1
             returning reference",
        )
        .bind(service.name())
        .bind(attempt.idempotency_key())
        .bind(what)
        .fetch_one(&self.0)
        .await?;
        Ok(format!("{}-{reference}", service.name()))
    }
}
