//! What a page of another site makes a browser send.

use axum::{Router, routing::post};
use stepwell::{
    App,
    axum::{RequestLayer, layer, run, testing::TestApp},
};

use crate::shop::{Shop, charges, pay, send, shop};

const CROSS: (&str, &str) = ("sec-fetch-site", "cross-site");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

async fn with(settings: fn(RequestLayer) -> RequestLayer) -> TestApp<Shop> {
    TestApp::new(Shop::default(), |app: App<Shop>| {
        Router::new()
            .route("/pay/{amount}", post(run(pay)))
            .layer(settings(layer(&app)))
            .with_state(app)
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_request_of_another_site_starts_nothing() {
    let shop = shop().await;
    for sent in [
        vec![CROSS],
        vec![CROSS, FORM],
        vec![("sec-fetch-site", "same-site")],
        vec![("origin", "https://evil.example"), ("host", "shop.example")],
        vec![("origin", "null"), ("host", "shop.example")],
    ] {
        let answer = send(&shop, "POST", "/pay/7", &sent, "").await;
        assert_eq!(answer.status, 403, "{sent:?}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
        assert!(answer.json()["request_id"].is_string());
    }
    assert_eq!(charges(&shop), 0);
    let own = [("sec-fetch-site", "same-origin")];
    assert_eq!(send(&shop, "POST", "/pay/7", &own, "").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_route_without_the_layer_refuses_them_too() {
    let shop = TestApp::new(Shop::default(), |app: App<Shop>| {
        let routes = Router::new().route("/pay/{amount}", post(run(pay)));
        routes.with_state(app)
    });
    let shop = shop.await;
    assert_eq!(
        send(&shop, "POST", "/pay/7", &[CROSS], "").await.status,
        403
    );
    assert_eq!(charges(&shop), 0);
}

#[tokio::test(start_paused = true)]
async fn an_origin_that_the_host_allows_may() {
    let shop = with(|layer| layer.allow_origin("https://app.example")).await;
    for (origin, status) in [("https://app.example", 200), ("https://evil.example", 403)] {
        let sent = [CROSS, ("origin", origin)];
        assert_eq!(
            send(&shop, "POST", "/pay/7", &sent, "").await.status,
            status,
            "{origin}"
        );
    }
    let shop = with(RequestLayer::allow_cross_site).await;
    assert_eq!(
        send(&shop, "POST", "/pay/7", &[CROSS], "").await.status,
        200
    );
}
