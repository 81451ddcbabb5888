//! Who may see and start what.

use axum::{
    Router,
    middleware::from_fn,
    routing::{get, post},
};
use stepwell::{
    App, Ctx, Payload, State, WorkflowId,
    axum::{Decision, Principal, Target, events, layer, run, start, status, testing::TestApp},
    limits::PRINCIPAL_ATTRIBUTE,
    store::{Filter, NewWorkflow},
    workflow,
};

use crate::shop::{Answer, GO, Shop, authenticate, pay, send, slow};

/// Starts a child that anybody could guess the id of.
#[workflow]
async fn parent(ctx: &mut Ctx<Shop>, child: String) -> stepwell::Result<()> {
    let handle = ctx.start(slow(child.clone()).id(child)).await;
    drop(ctx.run(handle).await);
    Ok(())
}

/// Takes what a client says for an attribute's name.
#[workflow]
async fn labelled(ctx: &mut Ctx<Shop>, name: String) -> stepwell::Result<()> {
    ctx.set_attribute(name, "ann").await;
    Ok(())
}

/// A rule of the host's own.
fn support(caller: &http::Extensions, _: Target<'_>) -> Decision {
    match caller.get::<Principal>() {
        Some(Principal(name)) if name == "support" => Decision::Allow,
        _ => Decision::Deny,
    }
}

fn router(app: App<Shop>) -> Router {
    Router::new()
        .route("/pay", post(run(pay)))
        .route("/pay/{id}", get(status(pay)))
        .route("/jobs", post(start(slow)))
        .route("/jobs/{id}", get(status(slow)))
        .route("/parents", post(start(parent)))
        .route("/events/{id}", get(events()))
        .route("/support/pay", post(run(pay).authorize(support)))
        .route("/support/pay/{id}", get(status(pay).authorize(support)))
        .route("/support/events/{id}", get(events().authorize(support)))
        .layer(from_fn(authenticate))
        .layer(layer(&app))
        .with_state(app)
}

async fn shop() -> TestApp<Shop> {
    TestApp::new(Shop::default(), router).await
}

async fn get_as(shop: &TestApp<Shop>, user: &str, path: &str) -> Answer {
    let headers: &[_] = if user.is_empty() {
        &[]
    } else {
        &[("x-user", user)]
    };
    send(shop, "GET", path, headers, "").await
}

/// Ann's payment, under an id that is easily guessed.
async fn ann_has_paid(shop: &TestApp<Shop>) {
    let payment = crate::shop::Payment {
        amount: 42,
        note: Some("card 4242".to_owned()),
    };
    let paid = shop.app().run(pay(payment).id("order-1").principal("ann"));
    drop(paid.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_workflow_is_shown_to_the_one_for_whom_it_was_started() {
    let shop = shop().await;
    ann_has_paid(&shop).await;
    for path in ["/pay/order-1", "/events/order-1"] {
        assert_eq!(get_as(&shop, "ann", path).await.status, 200, "{path}");
        for stranger in ["bob", ""] {
            let answer = get_as(&shop, stranger, path).await;
            let never = get_as(&shop, stranger, &path.replace('1', "2")).await;
            assert_eq!((answer.status, never.status), (404, 404), "{path}");
            assert!(!answer.text.contains("4242"), "{}", answer.text);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_in_particular_has_started_is_shown_to_nobody_in_particular() {
    let shop = shop().await;
    let payment = r#"{"amount": 5}"#;
    let key = [("idempotency-key", "k")];
    assert_eq!(send(&shop, "POST", "/pay", &key, payment).await.status, 200);
    let id = shop.app().client().list(Filter::default()).await.unwrap()[0]
        .id
        .to_string();
    let path = format!("/pay/{}", id.replace(' ', "%20").replace('/', "%2F"));
    assert_eq!(get_as(&shop, "", &path).await.status, 200);
    assert_eq!(get_as(&shop, "bob", &path).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn what_a_workflow_starts_is_its_principals() {
    let shop = shop().await;
    let as_ann = [("x-user", "ann")];
    let started = send(&shop, "POST", "/parents", &as_ann, r#""child""#).await;
    assert_eq!(started.status, 202);
    crate::shop::exists(&shop, "child").await;
    assert_eq!(get_as(&shop, "ann", "/jobs/child").await.status, 200);
    for stranger in ["bob", ""] {
        assert_eq!(get_as(&shop, stranger, "/jobs/child").await.status, 404);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_id_another_ones_workflow_has_is_taken() {
    let shop = shop().await;
    let as_bob = [("x-user", "bob"), ("idempotency-key", "k")];
    let first = send(&shop, "POST", "/jobs", &as_bob, r#""ann""#).await;
    let id = first.json()["workflow_id"].as_str().unwrap().to_owned();
    shop.app().send(&id, GO, true).await.unwrap();
    shop.app().handle::<slow>(&id).result().await.unwrap();
    shop.app().client().delete(&id).await.unwrap();
    // The same id, and Ann's.
    let input = Payload::of(&("ann",), 100).unwrap();
    let hers = NewWorkflow {
        attributes: vec![Principal("ann".to_owned()).attribute()],
        ..NewWorkflow::new(WorkflowId::new(&id).unwrap(), "slow", input)
    };
    shop.app().client().start_made(hers).await.unwrap();
    let again = send(&shop, "POST", "/jobs", &as_bob, r#""ann""#).await;
    assert_eq!(again.status, 422, "{}", again.text);
    assert_eq!(again.header("idempotency-replayed"), None);
}

#[tokio::test(start_paused = true)]
async fn the_host_can_decide_itself() {
    let shop = shop().await;
    ann_has_paid(&shop).await;
    for (user, seen, started) in [("support", 200, 200), ("ann", 404, 403), ("", 404, 403)] {
        for path in ["/support/pay/order-1", "/support/events/order-1"] {
            assert_eq!(
                get_as(&shop, user, path).await.status,
                seen,
                "{user} {path}"
            );
        }
        let headers: &[_] = &[("x-user", user)];
        let paid = send(&shop, "POST", "/support/pay", headers, r#"{"amount": 1}"#).await;
        assert_eq!(paid.status, started, "{user}");
    }
}

#[tokio::test(start_paused = true)]
async fn lists_can_be_of_one_principal() {
    let shop = shop().await;
    ann_has_paid(&shop).await;
    for name in ["bob", "", "x".repeat(300).as_str()] {
        let headers = [("x-user", name)];
        send(&shop, "POST", "/pay", &headers, r#"{"amount": 1}"#).await;
    }
    for name in ["ann", "bob", "", &"x".repeat(300)] {
        let filter = Filter {
            attribute: Some(Principal(name.to_owned()).attribute()),
            ..Filter::default()
        };
        let found = shop.app().client().list(filter).await.unwrap();
        assert_eq!(found.len(), 1, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_attribute_of_the_users_own_never_says_for_whom_a_workflow_is() {
    let shop = shop().await;
    let forged = pay(crate::shop::Payment {
        amount: 1,
        note: None,
    })
    .attribute(PRINCIPAL_ATTRIBUTE, "ann");
    let error = shop.app().start(forged).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("\"stepwell.principal\" cannot be set")
    );
    let handle = shop.app().start(labelled(PRINCIPAL_ATTRIBUTE.to_owned()));
    let handle = handle.await.unwrap();
    drop(handle.result().await);
    assert_eq!(handle.status().await.unwrap(), State::Stuck);
    let row = shop.app().client().get(handle.id()).await.unwrap().unwrap();
    assert_eq!(row.principal(), None);
}
