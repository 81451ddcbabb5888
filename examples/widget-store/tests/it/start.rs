//! How the program begins and ends, and what it says when it cannot begin.

use std::{
    net::{TcpListener, TcpStream},
    process::Stdio,
    sync::Arc,
};

use crate::{
    place::{Place, on_both},
    store::{Store, signal, until},
};
use rustix::process::Signal;

on_both!(
    an_orderly_end_keeps_everything_and_is_no_crash,
    a_worker_without_a_supervisor_gives_the_port_back,
);

/// Runs the program, which must give up; answers what it says.
fn refused(variable: &str, value: &str) -> String {
    let output = Place::sqlite()
        .program()
        .env(variable, value)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_port_that_is_in_use_is_named_with_what_to_do() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port().to_string();
    let said = refused("PORT", &port);
    assert!(said.contains(&format!("port {port} is in use")), "{said}");
    assert!(
        said.contains("PORT=8001 cargo run -p widget-store"),
        "{said}"
    );
}

#[test]
fn a_bad_port_is_named() {
    assert!(refused("PORT", "eighty").contains("PORT is `eighty`"));
    assert!(refused("PORT", "65536").contains("from 0 to 65535"));
}

#[test]
fn an_unusable_database_is_named() {
    let said = refused("DATABASE_URL", "mysql://shop:s3cr3t@localhost/shop");
    assert!(said.contains("`mysql://…@localhost/shop`"), "{said}");
    assert!(said.contains("neither SQLite nor Postgres"), "{said}");
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let said = refused(
        "DATABASE_URL",
        &format!("postgres://shop:s3cr3t@{address}/shop"),
    );
    assert!(
        said.contains(&format!("postgres://…@{address}/shop` cannot be reached")),
        "{said}"
    );
    assert!(!said.contains("s3cr3t"), "{said}");
    let said = refused("DATABASE_URL", "sqlite:/nowhere/shop.db");
    assert!(
        said.contains("`/nowhere/shop.db` cannot be opened"),
        "{said}"
    );
    let said = refused("DATABASE_URL", "sqlite::memory:");
    assert!(said.contains("no file to survive a crash in"), "{said}");
}

#[test]
fn a_wrong_command_line_is_answered_with_the_usage() {
    let output = Place::sqlite().program().arg("--wat").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("usage:"));
}

#[test]
fn a_worker_is_not_started_by_hand() {
    let output = Place::sqlite().program().arg("worker").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("started by its supervisor")
    );
}

#[test]
#[cfg(target_os = "linux")]
fn workers_that_die_before_they_serve_are_given_up() {
    let place = Place::sqlite();
    let mut command = place.program();
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut supervisor = piped.spawn().unwrap();
    let pid = supervisor.id();
    let children = format!("/proc/{pid}/task/{pid}/children");
    while supervisor.try_wait().unwrap().is_none() {
        let workers = std::fs::read_to_string(&children).unwrap_or_default();
        let workers = workers.split_whitespace();
        workers.for_each(|worker| signal(worker.parse().unwrap(), Signal::KILL));
    }
    let output = supervisor.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(128 + 9), "the worker's own end");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("died 10 times before it could serve"),
        "{said}"
    );
}

fn an_orderly_end_keeps_everything_and_is_no_crash(place: Place) {
    let mut store = Store::open(place);
    let order = store.buy("key");
    let _page = TcpStream::connect(("127.0.0.1", store.port)).unwrap();
    assert_eq!(store.stop(), Some(0));
    let place = Arc::clone(&store.place);
    drop(store);

    let store = Store::open_in(place);
    assert_eq!(store.view()["crash"], serde_json::Value::Null);
    assert_eq!(
        store.event("workflow", "")["crashes"],
        serde_json::json!([])
    );
    store.dispatched(&order);
    store.nothing_is_lost(1);
}

fn a_worker_without_a_supervisor_gives_the_port_back(place: Place) {
    let mut store = Store::open(place);
    signal(store.supervisor.id(), Signal::KILL);
    store.supervisor.wait().unwrap();
    until(|| TcpListener::bind(("127.0.0.1", store.port)).ok());
}
