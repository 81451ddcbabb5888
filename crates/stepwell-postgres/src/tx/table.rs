//! The table of the witnesses.

use sqlx::PgConnection;

use super::error::{FORBIDDEN, is};

/// It has a schema of its own name, and every statement says so: the code of a transaction may set
/// `search_path`, and the witness must not land where nobody looks for it.
const MAKE_SCHEMA: &str = "create schema if not exists stepwell";

const SCHEMA_IS_MISSING: &str = "select to_regnamespace('stepwell') is null";

/// `position` is in its stored form, so that rows of a workflow sort as its history does.
const MAKE_TABLE: &str = r#"create table if not exists stepwell.witness (
    workflow_id text collate "C" not null,
    position text collate "C" not null,
    output text not null,
    recorded_at timestamptz not null default clock_timestamp(),
    primary key (workflow_id, position)
)"#;

/// Makes the table. Another process may be doing the same.
pub(super) async fn make(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    // Asked first: whoever may not make schemas is refused even when it is there.
    if sqlx::query_scalar(SCHEMA_IS_MISSING)
        .fetch_one(&mut *connection)
        .await?
    {
        unless_raced(sqlx::raw_sql(MAKE_SCHEMA).execute(&mut *connection).await)?;
    }
    unless_raced(sqlx::raw_sql(MAKE_TABLE).execute(connection).await)
}

/// `if not exists` looks before it makes: of two at once, one collides with the other in a catalog.
fn unless_raced<T>(made: Result<T, sqlx::Error>) -> Result<(), sqlx::Error> {
    // A unique index of a catalog, a schema, a table, the type of its rows.
    const RACED: [&str; 4] = ["23505", "42P06", "42P07", "42710"];
    match made {
        Err(error) if !RACED.iter().any(|code| is(&error, code)) => Err(error),
        _ => Ok(()),
    }
}

/// What an administrator must do when the role may not use or make the table.
pub(super) async fn help(connection: &mut PgConnection, error: &sqlx::Error) -> Option<String> {
    if !is(error, FORBIDDEN) {
        return None;
    }
    let role = sqlx::query_scalar("select quote_ident(current_user)")
        .fetch_one(connection)
        .await;
    let role: String = role.unwrap_or_else(|_| "the_role_of_the_application".to_owned());
    // One line: whoever shows an error escapes the ends of lines.
    let make_table = MAKE_TABLE.split_whitespace().collect::<Vec<_>>().join(" ");
    Some(format!(
        "the role {role} may not make or use the table `stepwell.witness`, which makes transactions \
         happen once; an administrator of the database must run: {MAKE_SCHEMA}; {make_table}; \
         grant usage on schema stepwell to {role}; \
         grant select, insert on stepwell.witness to {role};"
    ))
}
