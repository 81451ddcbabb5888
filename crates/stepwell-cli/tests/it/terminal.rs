//! On a terminal: `script` of util-linux makes one.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use crate::{
    place::{Place, skipped},
    shop::fill,
    transcript::{shell, text},
};

/// Runs a line on a terminal, types an answer, and returns what the terminal showed.
fn on_terminal(place: &Place, line: &str, answer: &str) -> Option<String> {
    if Command::new("script").arg("--version").output().is_err() {
        skipped("there is no `script` to make a terminal; install `util-linux`");
        return None;
    }
    let line = format!("script --quiet --return --command '{line}' /dev/null");
    let mut command = shell(&line, &place.url, place.path());
    command.env("TERM", "xterm").env_remove("NO_COLOR");
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.unwrap();
    // Typed before the question is asked: the terminal keeps it.
    child
        .stdin
        .take()
        .unwrap()
        .write_all(answer.as_bytes())
        .unwrap();
    Some(text(&child.wait_with_output().unwrap().stdout))
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_is_asked_before_many_are_cancelled() {
    let place = Place::sqlite();
    fill(&place.url).await;
    let cancel = "stepwell workflow cancel --queue mails";
    let Some(shown) = on_terminal(&place, cancel, "n\n") else {
        return;
    };
    assert!(shown.contains("cancel 3 workflows? [y/N]"), "{shown}");
    assert!(shown.contains("nothing was changed"), "{shown}");
    let shown = on_terminal(&place, cancel, "y\n").unwrap();
    assert!(shown.contains("cancelled 3 of 3 workflows"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn states_have_a_colour_unless_nobody_wants_one() {
    let place = Place::sqlite();
    fill(&place.url).await;
    let list = "stepwell workflow list --state failed";
    let Some(shown) = on_terminal(&place, list, "") else {
        return;
    };
    assert!(shown.contains("\x1b["), "{shown:?}");
    assert!(shown.contains("failed"), "{shown:?}");
    let plain = on_terminal(&place, &format!("NO_COLOR=1 {list}"), "").unwrap();
    assert!(!plain.contains("\x1b["), "{plain:?}");
    assert!(plain.contains("failed"), "{plain:?}");
}
