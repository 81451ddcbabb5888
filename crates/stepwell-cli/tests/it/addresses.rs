//! Which database, and what is said when it cannot be had.

use crate::{
    place::Place,
    transcript::{Transcript, shell, text},
};

#[test]
fn a_database_that_cannot_be_had_is_told_apart() {
    let place = Place::sqlite();
    let mut transcript = Transcript::new(&place);
    transcript
        .run("unset STEPWELL_DATABASE_URL; stepwell workflow list")
        .run("STEPWELL_DATABASE_URL= DATABASE_URL=sqlite:other.db stepwell workflow list")
        .run("stepwell workflow list --database mysql://root:secret@db/shop")
        .run("stepwell workflow list --database sqlite:shop.db")
        .run("ls")
        .run("stepwell workflow list --database sqlite:nowhere/shop.db")
        .run("echo 'no database' > notes.txt; stepwell workflow list --database sqlite:notes.txt")
        .run("stepwell workflow list --database postgres://ada:secret@127.0.0.1:1/shop")
        .run("unset STEPWELL_DATABASE_URL; DATABASE_URL=sqlite:other.db stepwell queue list")
        .run("stepwell")
        .run("stepwell workflow lsit");
    transcript.check("addresses");
}

#[test]
fn the_command_line_wins_over_the_environment() {
    let (place, other) = (Place::sqlite(), Place::sqlite());
    let migrated = shell("stepwell migrate", &other.url, place.path()).output();
    assert!(migrated.unwrap().status.success());
    let line = format!("stepwell workflow list -o json --database {}", other.url);
    let listed = shell(&line, &place.url, place.path()).output().unwrap();
    assert_eq!(text(&listed.stdout), "[]\n", "{}", text(&listed.stderr));
}

#[test]
fn whoever_reads_less_than_there_is_breaks_nothing() {
    let place = Place::sqlite();
    let line = "stepwell completions bash | head -1; stepwell completions zsh | wc -l";
    let output = shell(line, &place.url, place.path()).output().unwrap();
    assert!(
        text(&output.stdout).starts_with("_stepwell()"),
        "{output:?}"
    );
    assert_eq!(text(&output.stderr), "");
}
