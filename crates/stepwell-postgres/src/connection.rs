//! One connection: how it is set up, its statements, its transactions.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::try_join;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Row, Statement, error::SqlState};

use crate::{error::Failure, params::Param, server::Server};

/// A connection of a store. Whoever holds it is alone with it.
pub(crate) struct Connection {
    client: Client,
    pub(crate) server: Arc<Server>,
    prepared: Mutex<HashMap<&'static str, Statement>>,
    in_transaction: AtomicBool,
    /// Moves bytes until the client is dropped and its farewell is sent; then it ends by itself.
    _pump: JoinHandle<()>,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(server: Arc<Server>, role: Role) -> Result<Self, Failure> {
        let (client, connection) = connect(&server, role).await?;
        let pump = tokio::spawn(async move {
            // Whoever waits for an answer is told of the error.
            let _ = connection.await;
        });
        Ok(Self {
            client,
            server,
            prepared: Mutex::default(),
            in_transaction: AtomicBool::new(false),
            _pump: pump,
        })
    }

    /// Whether it is of no use any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Runs a statement and reads its rows.
    pub(crate) async fn query(
        &self,
        sql: &'static str,
        params: &[Param<'_>],
    ) -> Result<Vec<Row>, Failure> {
        if self.server.is_unnamed() {
            let text = self.server.text(sql);
            return Ok(self.client.query_typed(&text, params).await?);
        }
        let statement = self.prepared(sql, params).await?;
        let values: Vec<_> = params.iter().map(|(value, _)| *value).collect();
        Ok(self.client.query(&statement, &values).await?)
    }

    /// Runs a statement that gives one row or none.
    pub(crate) async fn query_opt(
        &self,
        sql: &'static str,
        params: &[Param<'_>],
    ) -> Result<Option<Row>, Failure> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// Runs a statement and says how many rows it wrote.
    pub(crate) async fn execute(
        &self,
        sql: &'static str,
        params: &[Param<'_>],
    ) -> Result<u64, Failure> {
        if self.server.is_unnamed() {
            let text = self.server.text(sql);
            return Ok(self.client.execute_typed(&text, params).await?);
        }
        let statement = self.prepared(sql, params).await?;
        let values: Vec<_> = params.iter().map(|(value, _)| *value).collect();
        Ok(self.client.execute(&statement, &values).await?)
    }

    /// Runs a statement that was put together for one question, and is not kept.
    pub(crate) async fn query_once(
        &self,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<Vec<Row>, Failure> {
        let text = self.server.in_schema(sql);
        Ok(self.client.query_typed(&text, params).await?)
    }

    /// Runs several statements without values.
    pub(crate) async fn batch(&self, sql: &str) -> Result<(), Failure> {
        let text = self.server.in_schema(sql);
        Ok(self.client.batch_execute(&text).await?)
    }

    /// Begins a transaction. If the job fails, `Taken::give_back` undoes it.
    ///
    /// `read committed`, whatever the database's default is: a statement must see what was
    /// committed while it waited for the locks of the one before.
    pub(crate) async fn begin(&self) -> Result<(), Failure> {
        self.in_transaction.store(true, Ordering::Relaxed);
        let mut begin = "begin isolation level read committed".to_owned();
        if self.server.is_without_options() {
            for (name, value) in self.server.address.timeouts.settings() {
                begin.push_str(&format!("; set local {name} = {value}"));
            }
        }
        Ok(self.client.batch_execute(&begin).await?)
    }

    /// Begins a transaction and runs its first statement, which gives one row or none, in one round
    /// trip.
    pub(crate) async fn begin_with(
        &self,
        sql: &'static str,
        params: &[Param<'_>],
    ) -> Result<Option<Row>, Failure> {
        if !self.server.is_unnamed() {
            self.prepared(sql, params).await?;
        }
        let ((), row) = try_join!(self.begin(), self.query_opt(sql, params))?;
        Ok(row)
    }

    /// Ends the transaction and keeps what it wrote.
    pub(crate) async fn commit(&self) -> Result<(), Failure> {
        self.client.batch_execute("commit").await?;
        self.in_transaction.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Undoes the transaction if there is one. Says whether the connection can be used again.
    pub(crate) async fn roll_back(&self) -> bool {
        if !self.in_transaction.load(Ordering::Relaxed) {
            return !self.is_closed();
        }
        let undone = self.client.batch_execute("rollback").await.is_ok();
        self.in_transaction.store(!undone, Ordering::Relaxed);
        undone
    }

    /// Prepares a statement unless it is. Statements that are sent without waiting for each other
    /// must be: an unprepared one would be overtaken by the next.
    pub(crate) async fn prepared(
        &self,
        sql: &'static str,
        params: &[Param<'_>],
    ) -> Result<Statement, Failure> {
        let known = (self.prepared.lock())
            .unwrap_or_else(PoisonError::into_inner)
            .get(sql)
            .cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        let types: Vec<_> = params.iter().map(|(_, of)| of.clone()).collect();
        let text = self.server.text(sql);
        let statement = self.client.prepare_typed(&text, &types).await?;
        (self.prepared.lock())
            .unwrap_or_else(PoisonError::into_inner)
            .insert(sql, statement.clone());
        Ok(statement)
    }
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Everything that the engine asks for.
    Work,
    /// Hears and sends notifications.
    Listen,
}

impl Role {
    /// Settings beside the timeouts.
    fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            // One plan for each statement, made without looking at its values: making a plan costs
            // more than running it. It must hold for tables of every size: one that was made when
            // a table was a page long, and reads it whole, would still do so when it is a million.
            Self::Work => &[
                ("plan_cache_mode", "force_generic_plan"),
                ("enable_seqscan", "off"),
                ("enable_bitmapscan", "off"),
                ("enable_material", "off"),
                ("jit", "off"),
            ],
            // What a notification says is on disk before it is sent.
            Self::Listen => &[("synchronous_commit", "off"), ("jit", "off")],
        }
    }
}

/// Moves the bytes of a connection, and hands out what the server says unasked.
pub(crate) type Wire = tokio_postgres::Connection<tokio_postgres::Socket, crate::tls::Encrypted>;

/// Connects with settings, and without them where a pooler refuses those.
pub(crate) async fn connect(server: &Server, role: Role) -> Result<(Client, Wire), Failure> {
    let mut config = server.address.config.clone();
    if !server.is_without_options() {
        config.options(options(server, role));
        match config.connect(server.tls.clone()).await {
            Err(error) if is_about_options(&error) => server.go_without_options(),
            connected => return connected.map_err(explain),
        }
        config = server.address.config.clone();
    }
    config.connect(server.tls.clone()).await.map_err(explain)
}

fn options(server: &Server, role: Role) -> String {
    // Those of the user come last and count.
    let given = server.address.config.get_options().unwrap_or_default();
    let mut options = String::from("-c default_transaction_isolation=read\\ committed");
    for (name, value) in server.address.timeouts.settings() {
        options.push_str(&format!(" -c {name}={value}"));
    }
    for (name, value) in role.settings() {
        options.push_str(&format!(" -c {name}={value}"));
    }
    format!("{options} {given}")
}

/// PgBouncer knows no settings at the start: "unsupported startup parameter".
fn is_about_options(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|error| {
        *error.code() == SqlState::PROTOCOL_VIOLATION && error.message().contains("startup")
    })
}

/// Tells trouble that goes away by itself from trouble that stays.
///
/// A connection that ends in the middle of a handshake says nothing about the server: a balancer does
/// that while its server is on the way up. Only a certificate that was seen, or a server that has said
/// that it speaks no TLS, is a reason to change the address.
fn explain(error: tokio_postgres::Error) -> Failure {
    if error.as_db_error().is_some() {
        return Failure::Postgres(error);
    }
    let cause = std::error::Error::source(&error);
    let io = cause.and_then(|cause| cause.downcast_ref::<std::io::Error>());
    // An error of TLS hides in one of input and output.
    let tls = io.and_then(std::io::Error::get_ref);
    if let Some(tls) = tls.and_then(|tls| tls.downcast_ref::<rustls::Error>()) {
        return match is_about_identity(tls) {
            true => Failure::Unusable(format!(
                "the server is not who it must be ({tls}); check `sslmode` and `sslrootcert`"
            )),
            false => Failure::Postgres(error),
        };
    }
    let shown = error.to_string();
    if shown.contains("TLS") && io.is_none_or(|io| io.kind() == std::io::ErrorKind::InvalidInput) {
        let why = cause.map(ToString::to_string).unwrap_or(shown);
        return Failure::Unusable(match why.contains("does not support TLS") {
            true => "the server speaks no TLS; `sslmode` asks for it".to_owned(),
            false => format!("TLS cannot be spoken with this address ({why}); check `sslmode`"),
        });
    }
    if shown.contains("configuration") || shown.contains("authentication") {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        let cause = cause.unwrap_or(shown);
        return Failure::Unusable(format!("the address does not do ({cause})"));
    }
    Failure::Postgres(error)
}

/// Whether the server has shown a certificate that does not do, or speaks no dialect of ours.
fn is_about_identity(error: &rustls::Error) -> bool {
    use rustls::Error::{InvalidCertificate, NoCertificatesPresented, PeerIncompatible};
    matches!(
        error,
        InvalidCertificate(_) | NoCertificatesPresented | PeerIncompatible(_)
    )
}
