//! Dead letters over HTTP, behind the host's own authentication.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

use axum::{
    Router,
    body::Body,
    http::Request,
    middleware::{Next, from_fn},
    response::Response,
};
use serde_json::{Value, json};
use stepwell::{
    App, Ctx, State,
    axum::{Access, dead_letters, layer, testing::TestApp},
    step, workflow,
};

use crate::shop::{Answer, send};

#[derive(stepwell::State, Default)]
struct Mill {
    #[provide]
    wheel: Wheel,
}

#[derive(Default)]
struct Wheel {
    turns: AtomicBool,
    cleaned: AtomicU32,
}

#[step]
async fn clean(#[state] wheel: &Wheel) -> stepwell::Result<u32> {
    Ok(wheel.cleaned.fetch_add(1, SeqCst) + 1)
}

#[step]
async fn grind(#[state] wheel: &Wheel, corn: String) -> stepwell::Result<String> {
    if wheel.turns.load(SeqCst) {
        return Ok(format!("ground {corn}"));
    }
    stepwell::bail!("the wheel stands still over {corn}");
}

#[workflow]
async fn mill(ctx: &mut Ctx<Mill>, corn: String) -> stepwell::Result<String> {
    ctx.run(clean()).await?;
    ctx.run(grind(corn)).await
}

/// What a host's own authentication does.
async fn operators(mut request: Request<Body>, next: Next) -> Response {
    let access = match request.headers().get("x-operator") {
        Some(all) if all == "all" => Some(Access::Full),
        Some(_) => Some(Access::ReadOnly),
        None => None,
    };
    if let Some(access) = access {
        request.extensions_mut().insert(access);
    }
    next.run(request).await
}

fn router(app: &App<Mill>) -> Router {
    Router::new()
        .nest("/ops/dead", dead_letters(app).layer(from_fn(operators)))
        .layer(layer(app))
}

/// A mill at which these have failed.
async fn mill_of(corns: &[&str]) -> TestApp<Mill> {
    let test = TestApp::new(Mill::default(), |app| router(&app)).await;
    for &corn in corns {
        let call = mill(corn.to_owned()).id(format!("mill-{corn}"));
        let handle = test.app().start(call).await.unwrap();
        handle.result().await.unwrap_err();
    }
    test
}

async fn ask(test: &TestApp<Mill>, path: &str) -> Value {
    let answer = send(test, "GET", path, &[("x-operator", "look")], "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

async fn act(test: &TestApp<Mill>, method: &str, path: &str, body: &str) -> Answer {
    let json = ("content-type", "application/json");
    send(test, method, path, &[("x-operator", "all"), json], body).await
}

fn ids(page: &Value) -> Vec<&str> {
    let letters = page["letters"].as_array().unwrap();
    letters
        .iter()
        .map(|it| it["id"].as_str().unwrap())
        .collect()
}

async fn state(test: &TestApp<Mill>, id: &str) -> Option<State> {
    let found = test.app().client().get(id).await.unwrap();
    found.map(|it| it.state)
}

#[tokio::test(start_paused = true)]
async fn nobody_comes_in_of_whom_the_host_has_said_nothing() {
    let test = mill_of(&["rye"]).await;
    for path in ["/groups", "/letters", "/letters/mill-rye", "/redrives"] {
        let answer = send(&test, "GET", &format!("/ops/dead{path}"), &[], "").await;
        assert_eq!(answer.status, 403, "{path}");
        let kind = answer.header("content-type");
        assert_eq!(kind, Some("application/problem+json"));
        assert!(!answer.text.contains("rye"), "{}", answer.text);
    }
}

#[tokio::test(start_paused = true)]
async fn who_may_only_look_changes_nothing() {
    let test = mill_of(&["rye"]).await;
    let asked = [
        ("DELETE", "/letters/mill-rye", ""),
        ("POST", "/letters/mill-rye/redrive", "{}"),
        (
            "POST",
            "/letters/mill-rye/acknowledge",
            r#"{"note": "seen"}"#,
        ),
        ("POST", "/redrives", r#"{"name": "mill"}"#),
        ("POST", "/redrives/x/stop", "{}"),
        ("POST", "/redrives/x/resume", "{}"),
    ];
    for (method, path, body) in asked {
        let path = format!("/ops/dead{path}");
        let answer = send(&test, method, &path, &[("x-operator", "look")], body).await;
        assert_eq!(answer.status, 403, "{method} {path}");
    }
    assert_eq!(ids(&ask(&test, "/ops/dead/letters").await), ["mill-rye"]);
}

#[tokio::test(start_paused = true)]
async fn letters_are_grouped_and_listed() {
    let test = mill_of(&["rye", "oats", "wheat"]).await;
    let groups = ask(&test, "/ops/dead/groups").await;
    assert_eq!(groups["groups"].as_array().unwrap().len(), 3, "{groups}");
    let alike = &groups["groups"][0];
    assert_eq!(
        (&alike["name"], &alike["count"]),
        (&json!("mill"), &json!(1))
    );

    let first = ask(&test, "/ops/dead/letters?limit=2").await;
    assert_eq!(ids(&first), ["mill-wheat", "mill-oats"]);
    let path = format!("/ops/dead/letters?limit=2&before={}", first["next"]);
    let second = ask(&test, &path).await;
    assert_eq!(ids(&second), ["mill-rye"]);
    assert_eq!(second["next"], Value::Null);

    let alike =
        "/ops/dead/letters?fingerprint=Failure:%20the%20wheel%20stands%20still%20over%20oats";
    assert_eq!(ids(&ask(&test, alike).await), ["mill-oats"]);
    assert!(ids(&ask(&test, "/ops/dead/letters?state=stuck").await).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_letter_is_shown_with_all_that_it_holds() {
    let test = mill_of(&["rye"]).await;
    let letter = ask(&test, "/ops/dead/letters/mill-rye").await;
    assert_eq!(letter["state"], "failed");
    assert_eq!(letter["input"], json!(["rye"]));
    assert!(letter["error"].to_string().contains("stands still"));
    let operations = letter["operations"].as_array().unwrap();
    let brief = |it: &Value| json!([it["position"], it["name"], it["outcome"]]);
    let operations: Vec<_> = operations.iter().map(brief).collect();
    assert_eq!(
        operations,
        [json!(["0", "clean", "ok"]), json!(["1", "grind", "error"])]
    );
}

#[tokio::test(start_paused = true)]
async fn a_letter_is_tried_again_and_keeps_what_succeeded() {
    let test = mill_of(&["rye"]).await;
    test.app().state().wheel.turns.store(true, SeqCst);
    for _ in 0..2 {
        let answer = act(&test, "POST", "/ops/dead/letters/mill-rye/redrive", "").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["again"], "mill-rye~2");
    }
    let result = test.app().handle::<mill>("mill-rye~2").result().await;
    assert_eq!(result.unwrap(), "ground rye");
    assert_eq!(test.app().state().wheel.cleaned.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_letter_is_tried_with_other_arguments() {
    let test = mill_of(&["stones"]).await;
    test.app().state().wheel.turns.store(true, SeqCst);
    let path = "/ops/dead/letters/mill-stones/redrive";
    let answer = act(&test, "POST", path, r#"{"input": ["spelt"]}"#).await;
    assert_eq!(answer.json()["again"], "mill-stones~2", "{answer:?}");
    let result = test.app().handle::<mill>("mill-stones~2").result().await;
    assert_eq!(result.unwrap(), "ground spelt");
    assert_eq!(test.app().state().wheel.cleaned.load(SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_letter_is_laid_aside_or_deleted() {
    let test = mill_of(&["rye", "oats"]).await;
    let path = "/ops/dead/letters/mill-rye/acknowledge";
    let answer = act(&test, "POST", path, r#"{"note": "the miller knows"}"#).await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    assert_eq!(ids(&ask(&test, "/ops/dead/letters").await), ["mill-oats"]);
    let all = ask(&test, "/ops/dead/letters?acknowledged=true").await;
    assert_eq!(ids(&all), ["mill-oats", "mill-rye"]);
    let note = &all["letters"][1]["acknowledged"]["note"];
    assert_eq!(note, "the miller knows");

    let answer = act(&test, "DELETE", "/ops/dead/letters/mill-oats", "").await;
    assert_eq!(answer.status, 204, "{answer:?}");
    assert_eq!(state(&test, "mill-oats").await, None);
}

#[tokio::test(start_paused = true)]
async fn many_are_tried_again_by_a_workflow() {
    let test = mill_of(&["rye", "oats", "wheat"]).await;
    test.app().state().wheel.turns.store(true, SeqCst);
    let body = r#"{"id": "of/today", "name": "mill", "rate": {"starts": 2, "period_ms": 1000}}"#;
    let answer = act(&test, "POST", "/ops/dead/redrives", body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let location = answer.header("location").unwrap().to_owned();
    assert_eq!(location, "/ops/dead/redrives/of%2Ftoday");
    let again = act(&test, "POST", "/ops/dead/redrives", body).await;
    assert_eq!(again.status, 200, "{again:?}");

    let ended = test.app().client().wait("of/today").await.unwrap();
    assert_eq!(ended.state, State::Succeeded);
    let job = ask(&test, &location).await;
    assert_eq!(job["state"], "succeeded");
    assert_eq!(job["progress"]["redriven"], 3, "{job}");
    let redrives = ask(&test, "/ops/dead/redrives").await;
    assert_eq!(redrives["redrives"][0]["id"], "of/today");
    assert!(ids(&ask(&test, "/ops/dead/letters").await).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_redrive_is_stopped_and_goes_on() {
    let test = mill_of(&["rye", "oats"]).await;
    test.app().state().wheel.turns.store(true, SeqCst);
    let body = r#"{"id": "slow", "name": "mill", "rate": {"starts": 1, "period_ms": 60000}}"#;
    act(&test, "POST", "/ops/dead/redrives", body).await;
    let stopped = act(&test, "POST", "/ops/dead/redrives/slow/stop", "").await;
    assert_eq!(stopped.status, 204, "{stopped:?}");
    test.app().client().wait("slow").await.unwrap();
    assert_eq!(state(&test, "slow").await, Some(State::Cancelled));
    let resumed = act(&test, "POST", "/ops/dead/redrives/slow/resume", "").await;
    assert_eq!(resumed.status, 204, "{resumed:?}");
    test.app().client().wait("slow").await.unwrap();
    let job = ask(&test, "/ops/dead/redrives/slow").await;
    assert_eq!(job["progress"]["redriven"], 2, "{job}");
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let test = mill_of(&["rye"]).await;
    test.app().state().wheel.turns.store(true, SeqCst);
    let good = test.app().start(mill("good".to_owned()).id("good")).await;
    good.unwrap().result().await.unwrap();
    let letter = "/ops/dead/letters/mill-rye";
    let redrive = &format!("{letter}/redrive");
    let acknowledge = &format!("{letter}/acknowledge");
    let redrives = "/ops/dead/redrives";
    let cases = [
        ("POST", redrives, r#"{"nmae": "mill"}"#, 422, "nmae"),
        ("POST", redrives, "{}", 400, "which dead letters"),
        ("POST", redrives, r#"{"state": "running"}"#, 400, "running"),
        (
            "POST",
            redrives,
            r#"{"name": "mill", "id": "good"}"#,
            409,
            "good",
        ),
        ("POST", redrives, "{", 400, "no JSON"),
        ("GET", "/ops/dead/redrives/good", "", 404, "redrive"),
        ("POST", "/ops/dead/redrives/good/stop", "", 404, "redrive"),
        ("POST", "/ops/dead/redrives/good/resume", "", 404, "redrive"),
        ("POST", redrive, r#"{"from": "here"}"#, 422, "here"),
        ("POST", redrive, r#"{"input": "rye"}"#, 400, "JSON array"),
        (
            "POST",
            redrive,
            r#"{"from": "failed_step", "input": ["oats"]}"#,
            400,
            "start",
        ),
        (
            "POST",
            "/ops/dead/letters/good/redrive",
            "",
            409,
            "succeeded",
        ),
        (
            "POST",
            "/ops/dead/letters/nobody/redrive",
            "",
            404,
            "nobody",
        ),
        ("POST", acknowledge, "{}", 422, "note"),
        ("POST", acknowledge, r#"{"note": ""}"#, 400, "note"),
        ("GET", "/ops/dead/letters/good", "", 409, "succeeded"),
        ("DELETE", "/ops/dead/letters/good", "", 409, "succeeded"),
        ("DELETE", "/ops/dead/letters/nobody", "", 404, "nobody"),
        ("GET", "/ops/dead/letters?state=running", "", 400, "running"),
        ("GET", "/ops/dead/letters?nmae=mill", "", 400, "nmae"),
    ];
    for (method, path, body, status, says) in cases {
        let answer = act(&test, method, path, body).await;
        assert_eq!(answer.status, status, "{method} {path} {body}: {answer:?}");
        let kind = answer.header("content-type");
        assert_eq!(kind, Some("application/problem+json"), "{path}");
        let detail = answer.json()["detail"].to_string();
        assert!(detail.contains(says), "{method} {path} {body}: {detail}");
    }
    // A form of another site.
    for path in [redrive.as_str(), "/ops/dead/redrives/good/stop"] {
        let form = ("content-type", "application/x-www-form-urlencoded");
        let answer = send(&test, "POST", path, &[("x-operator", "all"), form], "").await;
        assert_eq!(answer.status, 415, "{path}");
    }
    assert_eq!(state(&test, "good").await, Some(State::Succeeded));
    assert_eq!(ids(&ask(&test, "/ops/dead/letters").await), ["mill-rye"]);
    assert_eq!(state(&test, "mill-rye~2").await, None);
}

/// A text that no database keeps is the caller's mistake, on whatever database.
#[tokio::test(start_paused = true)]
async fn conditions_that_no_letter_could_meet_are_refused() {
    let mill = mill_of(&["rye"]).await;
    let long = "x".repeat(300);
    let operator = [("x-operator", "all")];
    for query in [
        "name=%00".to_owned(),
        "queue=%00".to_owned(),
        "fingerprint=%00".to_owned(),
        "fingerprint=".to_owned(),
        format!("name={long}"),
    ] {
        let path = format!("/ops/dead/letters?{query}");
        let answer = send(&mill, "GET", &path, &operator, "").await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.text);
    }
    let headers = [("x-operator", "all"), ("content-type", "application/json")];
    for condition in [
        json!({"fingerprint": "\0"}),
        json!({"name": "\0"}),
        json!({"queue": long}),
        json!({"fingerprint": "x".repeat(5_000)}),
    ] {
        let body = condition.to_string();
        let answer = send(&mill, "POST", "/ops/dead/redrives", &headers, &body).await;
        assert_eq!(answer.status, 400, "{condition}: {}", answer.text);
    }
    let redrives = send(&mill, "GET", "/ops/dead/redrives", &operator, "").await;
    assert_eq!(redrives.json(), json!({"redrives": []}));
}

#[tokio::test(start_paused = true)]
async fn a_path_that_is_no_text_is_refused_like_everything_else() {
    let test = mill_of(&[]).await;
    for path in ["/letters/%ff", "/redrives/%ff"] {
        let path = format!("/ops/dead{path}");
        let answer = send(&test, "GET", &path, &[("x-operator", "look")], "").await;
        assert_eq!(answer.status, 400, "{answer:?}");
        let kind = answer.header("content-type");
        assert_eq!(kind, Some("application/problem+json"), "{path}");
    }
}
