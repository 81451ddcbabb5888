//! Opening a database: the first connection, the migration, and a look at what stands in between.

use std::sync::Arc;

use stepwell_core::store::Migrations;

use crate::{
    bell::{Bell, Line, try_line},
    connection::{Connection, Role},
    error::Failure,
    params::params,
    pool::Pool,
    rows::get,
    schema,
    server::Server,
    store::{LEASE_CONNECTIONS, SIDE_CONNECTIONS, WRITERS, learn_time},
    tls::Tls,
    url::{Address, Pooled},
};

/// The oldest server that this is tested with.
const VERSION_MIN: i32 = 140_000;

const VERSION: &str = "select current_setting('server_version_num')::integer, pg_is_in_recovery()";

/// What a store is made of.
pub(crate) struct Opened {
    pub(crate) server: Arc<Server>,
    pub(crate) writers: Pool,
    pub(crate) sides: Arc<Pool>,
    pub(crate) lease: Pool,
    pub(crate) bell: Bell,
}

/// Connects, migrates, and finds out whether notifications arrive.
pub(crate) async fn open(address: Address) -> Result<Opened, Failure> {
    let db = first_connection(address).await?;
    let server = Arc::clone(&db.server);
    let line = match set_up(&db).await {
        Err(failure) if failure.remedy() == crate::error::Remedy::AgainUnnamed => {
            db.roll_back().await;
            server.go_unnamed();
            set_up(&db).await?
        }
        done => done?,
    };
    let sides = Arc::new(Pool::new(Arc::clone(&server), SIDE_CONNECTIONS));
    Ok(Opened {
        writers: Pool::new(Arc::clone(&server), WRITERS),
        bell: Bell::new(&server, &sides, line),
        sides,
        lease: Pool::new(Arc::clone(&server), LEASE_CONNECTIONS),
        server,
    })
}

/// Reads what the schema has and lacks.
pub(crate) async fn migrations(address: Address) -> Result<Migrations, Failure> {
    let db = first_connection(address).await?;
    match read_schema(&db).await {
        Err(failure) if failure.remedy() == crate::error::Remedy::AgainUnnamed => {
            db.server.go_unnamed();
            read_schema(&db).await
        }
        read => read,
    }
}

async fn read_schema(db: &Connection) -> Result<Migrations, Failure> {
    check_version(db).await?;
    schema::read(db).await
}

async fn first_connection(address: Address) -> Result<Connection, Failure> {
    let trust = address.trust.clone();
    let tls = tokio::task::spawn_blocking(move || Tls::new(&trust)).await;
    let tls = tls.map_err(|_| Failure::Late("reading certificates was broken off"))?;
    let tls = tls.map_err(Failure::Unusable)?;
    let server = Arc::new(Server::new(address, tls));
    Connection::open(server, Role::Work).await
}

/// Migrates, and opens the line on which notifications arrive; none where they do not.
async fn set_up(db: &Connection) -> Result<Option<Line>, Failure> {
    check_version(db).await?;
    schema::migrate(db).await?;
    learn_time(db).await?;
    if db.server.address.pooled == Pooled::Yes || db.server.is_unnamed() {
        return Ok(None);
    }
    let line = try_line(&db.server, db).await;
    if line.is_none() && db.server.address.pooled == Pooled::Unknown {
        // What loses notifications loses prepared statements too.
        db.server.go_unnamed();
    }
    Ok(line)
}

async fn check_version(db: &Connection) -> Result<(), Failure> {
    let Some(row) = db.query_opt(VERSION, params![]).await? else {
        return Ok(());
    };
    let (version, is_replica): (i32, bool) = (get(&row, 0)?, get(&row, 1)?);
    if version < VERSION_MIN {
        return Err(Failure::Unusable(format!(
            "the server is Postgres {}; {} or newer is needed",
            version / 10_000,
            VERSION_MIN / 10_000
        )));
    }
    if is_replica {
        return Err(Failure::Unusable(
            "the server is a replica and takes no writes; connect to the primary, or name both \
             with `target_session_attrs=read-write`"
                .to_owned(),
        ));
    }
    Ok(())
}
