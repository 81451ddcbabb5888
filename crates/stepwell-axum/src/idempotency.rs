//! Idempotency keys: the header of the IETF draft
//! ([draft-ietf-httpapi-idempotency-key-header](https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/))
//! and the one of the seed documents.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::{HeaderMap, StatusCode, request::Parts};
use stepwell_core::{
    __private::made::{self, Maker},
    CallId,
};

use crate::problem::Problem;

const IETF: &str = "idempotency-key";
const VERBATIM: &str = "dbos-idempotency-key";
/// The longest key, in characters.
const KEY_MAX: usize = 255;

/// The key of a request that may be sent again: `Idempotency-Key: "…"`, quoted or bare, or
/// `dbos-idempotency-key: …`. As an extractor it answers 400 when there is none;
/// `Option<IdempotencyKey>` makes it optional.
///
/// A handler of your own that takes it as a workflow's id (`.id(key)`) lets clients choose among the
/// ids of your application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    key: String,
    header: Header,
}

/// Which header a key came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Header {
    Ietf,
    /// Also when both are there, and say the same.
    Dbos,
}

/// What a key becomes on a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyForm {
    /// A part of the workflow's id, together with the method and the route.
    Scoped,
    /// The workflow's id, as it is. Whoever sends it again waits for the same result.
    Verbatim,
}

/// Whether `dbos-idempotency-key` is the workflow's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VerbatimKeys {
    /// It is a key like any other.
    No,
    /// It is.
    Taken,
}

/// Who asks: put it into the request's extensions (in your own authentication) to give every
/// principal keys of their own. Nobody can then be answered with the result of somebody else's
/// request by guessing its key. It is kept with the workflow, which is shown to nobody else: see [who may
/// see what](crate#who-may-see-what).
///
/// It says nothing about `dbos-idempotency-key` on a route with
/// [`verbatim_keys`](crate::WorkflowRoute::verbatim_keys), which is a workflow's id and belongs to
/// nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal(pub String);

impl IdempotencyKey {
    /// The key as the client wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.key
    }

    /// What it becomes on a route.
    pub(crate) fn form(&self, verbatim: VerbatimKeys) -> KeyForm {
        match (self.header, verbatim) {
            (Header::Dbos, VerbatimKeys::Taken) => KeyForm::Verbatim,
            _ => KeyForm::Scoped,
        }
    }

    /// Reads the headers. None if there is no key.
    ///
    /// # Errors
    /// 400 for a key that is empty, too long or not visible ASCII, and for two that differ.
    pub fn from_headers(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let ietf = read(headers, IETF)?;
        let ietf = ietf.map(|key| unquoted(&key)).transpose()?;
        let verbatim = read(headers, VERBATIM)?;
        let (key, header) = match (ietf, verbatim) {
            (Some(a), Some(b)) if a != b => {
                return Err(bad(format!(
                    "the headers `{IETF}` and `{VERBATIM}` differ; send one"
                )));
            }
            (_, Some(key)) => (key, Header::Dbos),
            (Some(key), None) => (key, Header::Ietf),
            (None, None) => return Ok(None),
        };
        let length = key.len();
        if length == 0 || length > KEY_MAX {
            return Err(bad(format!(
                "the idempotency key has {length} characters; 1 to {KEY_MAX} are allowed"
            )));
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(bad(
                "the idempotency key holds a character that is not visible ASCII",
            ));
        }
        Ok(Some(Self { key, header }))
    }

    /// The id of the request's workflow: `{endpoint}~key-{principal}:{key}`, the principal only if there
    /// is one. Nobody can choose such an id, and no two requests of different parts have one: not
    /// `ann` with the key `k`, and somebody without a name with the key `ann:k`.
    pub(crate) fn workflow_id(
        &self,
        form: KeyForm,
        endpoint: &str,
        principal: Option<&Principal>,
    ) -> CallId {
        if form == KeyForm::Verbatim {
            return self.key.clone().into();
        }
        let principal = principal.map(|Principal(name)| name.as_str());
        let parts: Vec<&str> = principal.into_iter().chain([self.key.as_str()]).collect();
        CallId::made(made::named(endpoint, Maker::Key, &parts))
    }
}

impl From<IdempotencyKey> for String {
    fn from(key: IdempotencyKey) -> Self {
        key.key
    }
}

/// The refusal of a request without a key.
pub(crate) fn missing() -> Problem {
    bad(
        "the header `Idempotency-Key` is required: a value of your choice that stays the same when you \
         send the request again",
    )
}

fn read(headers: &HeaderMap, name: &str) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(bad(format!("the header `{name}` is there more than once")));
    }
    let text = first
        .to_str()
        .map_err(|_| bad(format!("the header `{name}` is not visible ASCII")));
    Ok(Some(text?.trim().to_owned()))
}

/// A string of [RFC 8941](https://www.rfc-editor.org/rfc/rfc8941#section-3.3.3) is quoted, with
/// `\"` and `\\` for a quote and a backslash; many clients send it bare.
fn unquoted(key: &str) -> Result<String, Problem> {
    let Some(quoted) = key.strip_prefix('"') else {
        return Ok(key.to_owned());
    };
    let malformed = || {
        bad(format!(
            "the header `{IETF}` begins a quoted string and ends none"
        ))
    };
    let mut text = String::with_capacity(quoted.len());
    let mut characters = quoted.chars();
    loop {
        match characters.next() {
            Some('"') if characters.as_str().is_empty() => return Ok(text),
            Some('\\') => match characters.next() {
                Some(escaped @ ('"' | '\\')) => text.push(escaped),
                _ => return Err(malformed()),
            },
            Some('"') | None => return Err(malformed()),
            Some(other) => text.push(other),
        }
    }
}

fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::from_headers(&parts.headers)?.ok_or_else(missing)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Problem> {
        Self::from_headers(&parts.headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(headers: &[(&'static str, &str)]) -> Result<Option<IdempotencyKey>, String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().expect("a header value"));
        }
        IdempotencyKey::from_headers(&map).map_err(|problem| problem.to_string())
    }

    #[track_caller]
    fn refused(headers: &[(&'static str, &str)], reason: &str) {
        let error = key(headers).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }

    #[test]
    fn a_key_is_quoted_or_bare() {
        for value in ["\"a1\"", "a1", " a1 "] {
            let key = key(&[("idempotency-key", value)]).unwrap().unwrap();
            assert_eq!(key.as_str(), "a1");
        }
        let escaped = key(&[("idempotency-key", r#""a\"b\\c""#)])
            .unwrap()
            .unwrap();
        assert_eq!(escaped.as_str(), r#"a"b\c"#);
        assert_eq!(key(&[]), Ok(None));
    }

    #[test]
    fn a_bad_key_is_refused_with_its_reason() {
        refused(&[("idempotency-key", "")], "has 0 characters; 1 to 255");
        refused(&[("idempotency-key", "\"\"")], "has 0 characters");
        refused(
            &[("idempotency-key", &"x".repeat(256))],
            "has 256 characters; 1 to 255",
        );
        refused(&[("idempotency-key", "a b")], "not visible ASCII");
        refused(&[("idempotency-key", "é")], "not visible ASCII");
        for malformed in ["\"", "\"a", "\"a\"b", "\"a\\", "\"a\\b\"", "\"a\";p=1"] {
            refused(&[("idempotency-key", malformed)], "begins a quoted string");
        }
        refused(
            &[("idempotency-key", "a"), ("idempotency-key", "b")],
            "more than once",
        );
        refused(
            &[("idempotency-key", "a"), ("dbos-idempotency-key", "b")],
            "differ; send one",
        );
    }

    fn id(headers: &[(&'static str, &str)], principal: Option<&str>) -> String {
        let key = key(headers).unwrap().unwrap();
        let principal = principal.map(|name| Principal(name.to_owned()));
        let form = key.form(VerbatimKeys::No);
        let id = key.workflow_id(form, "POST /pay", principal.as_ref());
        id.as_str().to_owned()
    }

    #[test]
    fn a_key_is_the_workflow_id_only_where_a_route_says_so() {
        let both = [("idempotency-key", "\"a\""), ("dbos-idempotency-key", "a")];
        let dbos = [("dbos-idempotency-key", "a")];
        for headers in [&both[..], &dbos] {
            let key = key(headers).unwrap().unwrap();
            let form = key.form(VerbatimKeys::Taken);
            assert_eq!(key.workflow_id(form, "POST /pay", None), CallId::from("a"));
            assert_eq!(id(headers, None), "POST /pay~key-a");
        }
        let ietf = key(&both[..1]).unwrap().unwrap();
        assert_eq!(ietf.form(VerbatimKeys::Taken), KeyForm::Scoped);
    }

    #[test]
    fn a_scoped_key_names_endpoint_and_principal() {
        let key = [("idempotency-key", "k")];
        assert_eq!(id(&key, None), "POST /pay~key-k");
        assert_eq!(id(&key, Some("ann")), "POST /pay~key-ann:k");
    }

    #[test]
    fn requests_of_different_people_never_have_one_id() {
        let of = |principal, value| id(&[("idempotency-key", value)], principal);
        let long = "k".repeat(250);
        let all = [
            of(Some("ann"), "k"),
            of(None, "ann:k"),
            of(Some("ann:b"), "k"),
            of(Some("ann"), "b:k"),
            of(Some("ann%3Ab"), "k"),
            of(Some("a\u{7}"), "k"),
            of(Some("ann"), &long),
            of(Some("bob"), &long),
            of(None, &long),
            of(Some(""), &long),
        ];
        let different: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len(), "{all:?}");
        assert!(all.iter().all(|id| id.len() <= 255), "{all:?}");
    }
}
