//! Headers, times and members, read strictly.

use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;
use serde_json::Value;

use crate::rejected::Rejected;

pub(crate) fn malformed(header: &str, reason: &'static str) -> Rejected {
    Rejected::MalformedHeader {
        header: header.to_owned(),
        reason,
    }
}

/// The only value of a header. Two are refused: who signs and who reads could take different ones.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Rejected> {
    optional(headers, name)?.ok_or_else(|| Rejected::MissingHeader(name.to_owned()))
}

pub(crate) fn optional<'a>(
    headers: &'a HeaderMap,
    name: &str,
) -> Result<Option<&'a str>, Rejected> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(malformed(name, "is there more than once"));
    }
    let text = first
        .to_str()
        .map_err(|_| malformed(name, "is not visible ASCII"))?;
    match text.is_empty() {
        true => Err(malformed(name, "is empty")),
        false => Ok(Some(text)),
    }
}

/// A time in whole seconds since 1970, digits only.
pub(crate) fn seconds(header: &str, text: &str) -> Result<Timestamp, Rejected> {
    let no_time = || malformed(header, "holds no time in seconds since 1970");
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(no_time());
    }
    let seconds = text.parse().map_err(|_| no_time())?;
    Timestamp::from_second(seconds).map_err(|_| no_time())
}

/// Whether a time that lies ahead is refused, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Window {
    Past,
    Both,
}

pub(crate) fn fresh(
    signed_at: Timestamp,
    now: Timestamp,
    tolerance: Duration,
    window: Window,
) -> Result<(), Rejected> {
    // Providers sign whole seconds, so whole seconds are compared.
    let age_s = now.as_second() - signed_at.as_second();
    let early = window == Window::Past && age_s < 0;
    match early || age_s.unsigned_abs() <= tolerance.as_secs() {
        true => Ok(()),
        false => Err(Rejected::Stale {
            signed_at,
            tolerance_s: tolerance.as_secs(),
        }),
    }
}

/// The body as JSON. Only to be asked once its signature is verified.
pub(crate) fn json(body: &[u8]) -> Result<Value, Rejected> {
    serde_json::from_slice(body).map_err(|_| Rejected::NotJson)
}

/// A text that is not empty, at a JSON pointer.
pub(crate) fn text_at(value: &Value, pointer: &str) -> Option<String> {
    let text = value.pointer(pointer)?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

pub(crate) fn id_at(value: &Value, pointer: &str) -> Result<String, Rejected> {
    text_at(value, pointer).ok_or_else(|| Rejected::NoId(format!("`{pointer}` of the body")))
}
