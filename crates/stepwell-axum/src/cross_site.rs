//! Requests that another site sends in a browser's name.

use http::{HeaderMap, Method, StatusCode, Uri, header, request::Parts};

use crate::problem::Problem;

/// Marks a request that the layer has let through.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Checked;

/// Refuses what another site has sent, on a route that no layer is around.
///
/// # Errors
/// 403.
pub(crate) fn check_by_itself(parts: &Parts) -> Result<(), Problem> {
    match parts.extensions.get::<Checked>() {
        Some(Checked) => Ok(()),
        None => CrossSite::default().check(&parts.method, &parts.uri, &parts.headers),
    }
}

/// Whose requests are taken.
#[derive(Debug, Clone, Default)]
pub(crate) enum CrossSite {
    /// Those of the site itself and of programs that are no browser.
    #[default]
    Refused,
    /// Those of these origins, too.
    RefusedBut(Vec<String>),
    /// All.
    Allowed,
}

impl CrossSite {
    /// Takes the requests of one more origin, written as a browser does: `https://shop.example`.
    pub(crate) fn allow(&mut self, origin: String) {
        match self {
            Self::Refused => *self = Self::RefusedBut(vec![origin]),
            Self::RefusedBut(origins) => origins.push(origin),
            Self::Allowed => {}
        }
    }

    /// Refuses a request that changes something and that another site has made a browser send. A
    /// browser says so in `Sec-Fetch-Site`
    /// ([Fetch Metadata](https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header)), an older one in
    /// `Origin`; a program that is no browser says neither.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn check(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<(), Problem> {
        if method.is_safe() || matches!(self, Self::Allowed) {
            return Ok(());
        }
        let text = |name: &str| Some(headers.get(name)?.to_str().unwrap_or("?"));
        let origin = text(header::ORIGIN.as_str());
        let is_own = match text("sec-fetch-site") {
            Some(site) => matches!(site, "same-origin" | "none"),
            None => origin.is_none_or(|origin| Some(host_of(origin)) == host(uri, headers)),
        };
        let is_allowed = match self {
            Self::RefusedBut(origins) => origin.is_some_and(|it| origins.iter().any(|o| o == it)),
            _ => false,
        };
        match is_own || is_allowed {
            true => Ok(()),
            false => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "a page of another site has sent this; the server must allow the site's origin first",
            )),
        }
    }
}

/// `shop.example:8443` of `https://shop.example:8443`.
fn host_of(origin: &str) -> &str {
    origin.split_once("://").map_or(origin, |(_, host)| host)
}

fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let named = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    named.or_else(|| uri.authority().map(http::uri::Authority::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: (&str, &str) = ("host", "shop.example");

    fn status(rule: &CrossSite, method: &Method, sent: &[(&'static str, &str)]) -> u16 {
        let sent = sent.iter().map(|(name, value)| {
            let name = http::HeaderName::from_static(name);
            (name, value.parse().expect("a header value"))
        });
        let checked = rule.check(method, &Uri::from_static("/pay"), &sent.collect());
        checked.map_or_else(|problem| problem.status().as_u16(), |()| 200)
    }

    #[test]
    fn only_the_site_itself_and_programs_may_change_something() {
        for (sent, expected) in [
            (vec![], 200),
            (vec![("sec-fetch-site", "same-origin")], 200),
            (vec![("sec-fetch-site", "none")], 200),
            (vec![("sec-fetch-site", "same-site")], 403),
            (vec![("sec-fetch-site", "cross-site")], 403),
            (vec![("origin", "https://shop.example")], 200),
            (vec![("origin", "https://evil.example")], 403),
            (vec![("origin", "https://shop.example.evil.example")], 403),
            (vec![("origin", "null")], 403),
            (
                vec![
                    ("sec-fetch-site", "cross-site"),
                    ("origin", "https://shop.example"),
                ],
                403,
            ),
        ] {
            let sent = [vec![SITE], sent].concat();
            let found = status(&CrossSite::Refused, &Method::POST, &sent);
            assert_eq!(found, expected, "{sent:?}");
            assert_eq!(status(&CrossSite::Refused, &Method::GET, &sent), 200);
            assert_eq!(status(&CrossSite::Allowed, &Method::POST, &sent), 200);
        }
    }

    #[test]
    fn an_origin_that_is_allowed_may() {
        let mut rule = CrossSite::default();
        rule.allow("https://app.example".to_owned());
        for (origin, expected) in [("https://app.example", 200), ("https://evil.example", 403)] {
            let sent = [SITE, ("sec-fetch-site", "cross-site"), ("origin", origin)];
            assert_eq!(status(&rule, &Method::POST, &sent), expected, "{origin}");
        }
    }
}
