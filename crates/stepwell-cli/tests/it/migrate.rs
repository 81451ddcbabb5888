//! `stepwell migrate`, on both stores.

use std::process::Output;

use crate::{
    place::Place,
    transcript::{shell, text},
};

fn run(place: &Place, line: &str) -> Output {
    shell(line, &place.url, place.path()).output().unwrap()
}

#[test]
fn what_is_missing_is_listed_and_applied_once() {
    for place in Place::each() {
        let listed = run(&place, "stepwell migrate --dry-run -o json");
        assert!(listed.status.success(), "{listed:?}");
        assert!(
            text(&listed.stdout).contains(r#""state": "missing""#),
            "{listed:?}"
        );

        let refused = run(&place, "stepwell queue list");
        assert_eq!(
            refused.status.code(),
            Some(1),
            "looking has changed nothing"
        );
        assert!(
            text(&refused.stderr).contains("has no Stepwell tables"),
            "{refused:?}"
        );

        let applied = run(&place, "stepwell migrate -o json");
        assert!(applied.status.success(), "{applied:?}");
        let expected = text(&listed.stdout).replace("missing", "applied");
        assert_eq!(text(&applied.stdout), expected);

        let again = run(&place, "stepwell migrate -o json");
        assert_eq!(text(&again.stdout), "[]\n");
        assert!(
            text(&again.stderr).starts_with("nothing is missing"),
            "{again:?}"
        );
        assert_eq!(run(&place, "stepwell queue list").status.code(), Some(0));
    }
}

/// Who may not let a program change a schema runs the SQL by other means.
#[tokio::test(flavor = "multi_thread")]
async fn the_printed_script_migrates() {
    for place in Place::each() {
        let printed = run(&place, "stepwell migrate --print");
        assert!(printed.status.success(), "{printed:?}");
        let script = text(&printed.stdout);
        assert!(script.starts_with("begin;\n\n-- Migration 1\n"), "{script}");
        if place.url.starts_with("sqlite:") {
            let db = rusqlite::Connection::open(place.path().join("shop.db")).unwrap();
            db.execute_batch(&script).unwrap();
        } else {
            let server = place.url.split('?').next().unwrap();
            let connected = tokio_postgres::connect(server, tokio_postgres::NoTls).await;
            let (client, connection) = connected.unwrap();
            tokio::spawn(connection);
            client.batch_execute(&script).await.unwrap();
        }
        assert_eq!(run(&place, "stepwell migrate --print").stdout, b"");
        assert_eq!(run(&place, "stepwell queue list -o json").stdout, b"[]\n");
    }
}

/// A newer `stepwell` looks at the database of an application that was not updated yet.
#[test]
fn a_command_that_looks_brings_no_schema_up_to_date() {
    let place = Place::sqlite();
    let script = text(&run(&place, "stepwell migrate --print").stdout);
    let (first, _) = script.split_once("-- Migration 2").unwrap();
    let db = rusqlite::Connection::open(place.path().join("shop.db")).unwrap();
    db.execute_batch(&format!("{first}commit;")).unwrap();
    drop(db);

    let missing = text(&run(&place, "stepwell migrate --dry-run -o ids").stdout);
    assert!(missing.starts_with("2\n"), "{missing}");
    let lacks = format!("lacks {} of the migrations", missing.lines().count());
    let refused = run(&place, "stepwell queue list");
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains(&lacks), "{refused:?}");
    assert_eq!(
        text(&run(&place, "stepwell migrate -o ids").stdout),
        missing
    );
    assert_eq!(run(&place, "stepwell queue list").status.code(), Some(0));
}
