//! An empty Postgres database for each run.

use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::driver::Error;

/// Makes the database of the URL anew, from the server's own one, `postgres`.
pub(crate) async fn make(url: &str) -> Result<(), Error> {
    let (server, name) = url
        .rsplit_once('/')
        .ok_or("a database URL ends in /<database>")?;
    if !name.starts_with("stepwell_bench") {
        return Err(format!("`{name}` would be dropped: name it stepwell_bench…").into());
    }
    let mut server = PgConnection::connect(&format!("{server}/postgres")).await?;
    let drop = format!("drop database if exists \"{name}\" with (force)");
    server.execute(drop.as_str()).await?;
    let create = format!("create database \"{name}\"");
    server.execute(create.as_str()).await?;
    server.close().await?;
    Ok(())
}
