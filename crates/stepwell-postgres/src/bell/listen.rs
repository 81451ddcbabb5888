//! Hears notifications, on a connection of its own.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use stepwell_core::store::News;
use tokio_postgres::{AsyncMessage, Client, Notification};

use super::{Ringer, news};
use crate::{
    connection::{Connection, Role, Wire, connect},
    error::Failure,
    params::params,
    server::Server,
};

/// How long a notification may take in the trial.
const TRIAL_MAX: Duration = Duration::from_secs(2);

/// The pause before a broken connection is replaced.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

const NOTIFY: &str = "select pg_notify($1, $2)";

/// A connection that listens to the schema's notifications.
pub(crate) struct Line {
    /// The wire ends with it.
    _client: Client,
    wire: Wire,
}

impl Line {
    async fn open(server: &Server) -> Result<Self, Failure> {
        let (client, mut wire) = connect(server, Role::Listen).await?;
        let sql = format!("listen \"{}\"", server.address.schema);
        {
            let mut ask = pin!(client.batch_execute(&sql));
            loop {
                tokio::select! {
                    asked = &mut ask => break asked?,
                    heard = hear(&mut wire) => drop(heard?),
                }
            }
        }
        let _client = client;
        Ok(Self { _client, wire })
    }
}

/// Waits for the next notification.
async fn hear(wire: &mut Wire) -> Result<Notification, Failure> {
    loop {
        match poll_fn(|cx| wire.poll_message(cx)).await {
            Some(Ok(AsyncMessage::Notification(heard))) => return Ok(heard),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error.into()),
            None => return Err(Failure::Late("the connection was closed")),
        }
    }
}

/// Tries whether a notification arrives: not behind a pooler that hands out another connection for
/// each transaction. `sender` is another connection than the one that listens.
pub(crate) async fn try_line(server: &Server, sender: &Connection) -> Option<Line> {
    let trial = tokio::time::timeout(TRIAL_MAX, async {
        let mut line = Line::open(server).await?;
        let token = uuid::Uuid::new_v4().to_string();
        let channel = server.address.schema.as_str();
        sender.query(NOTIFY, params![channel, token]).await?;
        while hear(&mut line.wire).await?.payload() != token {}
        Ok::<_, Failure>(line)
    });
    trial.await.ok()?.ok()
}

/// Listens for as long as the store lives. While the connection is broken the counter is compared.
pub(super) async fn keep_listening(line: Line, ringer: Arc<Ringer>, server: Arc<Server>) {
    let mut line = Some(line);
    loop {
        if let Some(line) = line.take() {
            listen(line, &ringer).await;
        }
        ringer.listening.store(false, Ordering::Release);
        tokio::time::sleep(AGAIN_AFTER).await;
        // An error tells nothing new: the calls that matter have their own.
        if let Ok(new) = Line::open(&server).await {
            // What was missed in between.
            ringer.hear(News::of_anything());
            ringer.listening.store(true, Ordering::Release);
            line = Some(new);
        }
    }
}

async fn listen(mut line: Line, ringer: &Ringer) {
    while let Ok(heard) = hear(&mut line.wire).await {
        if let Some(news) = news::read(heard.payload(), &ringer.me) {
            ringer.hear(news);
        }
    }
}
