//! The page and its parts: from the binary, with the right headers.

use crate::{place::Place, store::Store};

#[test]
fn the_page_comes_with_a_policy_that_lets_nothing_else_in() {
    let store = Store::open(Place::sqlite());
    let page = store.get("/");
    assert_eq!(page.status, 200);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
}

#[test]
fn every_part_that_the_page_names_is_there() {
    let store = Store::open(Place::sqlite());
    for (name, content_type) in [
        ("app.js", "text/javascript; charset=utf-8"),
        ("styles.css", "text/css; charset=utf-8"),
        ("favicon.svg", "image/svg+xml"),
    ] {
        let part = store.get(&format!("/assets/{name}"));
        assert_eq!(part.status, 200, "{name}");
        assert_eq!(part.header("content-type"), Some(content_type));
    }
    assert_eq!(store.get("/assets/none.js").status, 404);
    assert_eq!(store.get("/assets/..%2fCargo.toml").status, 404);
}

#[test]
fn a_browser_that_has_the_page_is_not_sent_it_again() {
    let store = Store::open(Place::sqlite());
    let etag = store.get("/").header("etag").unwrap().to_owned();
    let known = format!("If-None-Match: {etag}\r\n");
    let again = store.ask("GET", "/", "", &known).unwrap();
    assert_eq!((again.status, again.body.as_str()), (304, ""));
}

#[test]
fn the_source_of_the_checkout_is_the_one_that_runs() {
    let source = Store::open(Place::sqlite()).get("/source/checkout");
    assert_eq!(
        source.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(source.body, include_str!("../../src/checkout.rs"));
}
