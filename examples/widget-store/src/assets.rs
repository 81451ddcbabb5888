//! The page, embedded in the binary: it works without a network and without a build.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::LazyLock,
};

use axum::{
    extract::Path,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

struct Asset {
    content_type: &'static str,
    body: &'static [u8],
    etag: String,
}

macro_rules! embed {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_bytes!(concat!("../assets/", $name)).as_slice())),*]
    };
}

static ASSETS: LazyLock<HashMap<&str, Asset>> = LazyLock::new(|| {
    let files = embed![
        "app.js",
        "crash.js",
        "dom.js",
        "favicon.svg",
        "header.js",
        "index.html",
        "key.js",
        "live.js",
        "order.js",
        "orders.js",
        "panel.js",
        "product.js",
        "requests.js",
        "route.js",
        "shop.js",
        "source.js",
        "steps.js",
        "styles.css",
        "time.js",
        "timeline.js",
    ];
    files
        .map(|(name, body)| (name, Asset::new(name, body)))
        .into()
});

impl Asset {
    fn new(name: &str, body: &'static [u8]) -> Self {
        let content_type = match name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("html") => "text/html; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => "application/octet-stream",
        };
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        let etag = format!("\"{:016x}\"", hasher.finish());
        Self {
            content_type,
            body,
            etag,
        }
    }

    /// The file, or that the browser's copy is still right. The browser asks each time: another
    /// build of the store may stand behind the same address.
    fn answer(&self, asked: &HeaderMap) -> Response {
        let headers = [
            (header::ETAG, self.etag.as_str()),
            (header::CACHE_CONTROL, "no-cache"),
            (header::CONTENT_TYPE, self.content_type),
        ];
        let known = asked.get(header::IF_NONE_MATCH);
        if known.is_some_and(|known| known == self.etag.as_str()) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        (headers, self.body).into_response()
    }
}

/// The page.
pub(crate) async fn index(asked: HeaderMap) -> Response {
    named("index.html", &asked)
}

/// One of its parts.
pub(crate) async fn asset(Path(name): Path<String>, asked: HeaderMap) -> Response {
    named(&name, &asked)
}

fn named(name: &str, asked: &HeaderMap) -> Response {
    match ASSETS.get(name) {
        Some(asset) => asset.answer(asked),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_page_is_embedded() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/assets");
        for entry in std::fs::read_dir(directory).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(ASSETS.contains_key(name.as_str()), "{name} is not embedded");
        }
    }
}
