//! Text of clients in the log.

use std::{
    io,
    sync::{Arc, Mutex},
};

use axum::{Router, routing::post};
use stepwell::{
    App, Ctx, Failure,
    axum::{layer, run, testing::TestApp},
    workflow,
};
use tracing_subscriber::fmt::MakeWriter;

use crate::shop::{Shop, send};

const FORGED: &str =
    "gone\n2030-01-01T00:00:00.000000Z  INFO auth: user=admin\r\x1b[31m\u{9b}2J\u{202e}";

/// What a log file would hold.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[workflow]
async fn echoes(_ctx: &mut Ctx<Shop>, text: String) -> stepwell::Result<()> {
    Err(Failure::msg(&text).context(text))
}

#[workflow]
async fn panics_with(_ctx: &mut Ctx<Shop>, text: String) -> stepwell::Result<()> {
    panic!("{text}");
}

#[tokio::test]
async fn a_clients_text_forges_no_line_of_the_log_and_steers_no_terminal() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(log.clone());
    let _default = tracing::subscriber::set_default(subscriber.finish());
    let shop = TestApp::new(Shop::default(), |app: App<Shop>| {
        Router::new()
            .route("/echoes", post(run(echoes)))
            .route("/panics", post(run(panics_with)))
            .layer(layer(&app))
            .with_state(app)
    });
    let shop = shop.await;
    let body = serde_json::to_string(FORGED).unwrap();
    for path in ["/echoes", "/panics"] {
        assert_eq!(send(&shop, "POST", path, &[], &body).await.status, 500);
    }
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        text.contains("a workflow failed") && text.contains("did not end"),
        "{text}"
    );
    for line in text.lines() {
        assert!(!line.starts_with("2030"), "a forged line: {text}");
        let raw = line.chars().find(|c| c.is_control() || *c == '\u{202e}');
        assert_eq!(raw, None, "{line:?}");
    }
}
