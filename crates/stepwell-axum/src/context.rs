//! [`HttpContext`]: what a request says about itself. Needs no web framework.

use http::HeaderMap;
use uuid::Uuid;

/// The longest request id that is taken over from a client.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// What a request says about itself in its headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpContext {
    /// `x-request-id`, else `dbos-request-id`, else a new UUIDv7.
    pub request_id: String,
    /// `traceparent`, if it is one ([W3C trace context](https://www.w3.org/TR/trace-context/)).
    pub traceparent: Option<String>,
}

impl HttpContext {
    /// Reads the headers. A request id that is too long or not printable is not taken over.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let request_id = ["x-request-id", "dbos-request-id"]
            .into_iter()
            .filter_map(text)
            .find(|id| is_request_id(id))
            .map_or_else(|| Uuid::now_v7().to_string(), str::to_owned);
        let traceparent = text("traceparent").filter(|value| is_traceparent(value));
        Self {
            request_id,
            traceparent: traceparent.map(str::to_owned),
        }
    }
}

fn is_request_id(id: &str) -> bool {
    (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// `version-trace-parent-flags` in lower-case hexadecimal; neither id is all zeros.
fn is_traceparent(value: &str) -> bool {
    let parts: Vec<&str> = value.split('-').collect();
    let [version, trace, parent, flags] = parts.as_slice() else {
        return false;
    };
    let is_hex = |part: &str, length: usize| {
        part.len() == length
            && part
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let is_id = |part: &str, length| is_hex(part, length) && part.bytes().any(|b| b != b'0');
    is_hex(version, 2)
        && *version != "ff"
        && is_id(trace, 32)
        && is_id(parent, 16)
        && is_hex(flags, 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(headers: &[(&'static str, &str)]) -> HttpContext {
        let headers = headers.iter().map(|(name, value)| {
            (
                http::HeaderName::from_static(name),
                value.parse().expect("a header value"),
            )
        });
        HttpContext::from_headers(&headers.collect())
    }

    #[test]
    fn the_request_id_is_taken_in_this_order() {
        let both = context(&[("dbos-request-id", "d"), ("x-request-id", "x")]);
        assert_eq!(both.request_id, "x");
        assert_eq!(context(&[("dbos-request-id", "d")]).request_id, "d");
        assert_eq!(context(&[]).request_id.len(), 36);
        assert_eq!(
            context(&[("x-request-id", &"x".repeat(129))])
                .request_id
                .len(),
            36
        );
    }

    #[test]
    fn only_a_well_formed_traceparent_is_kept() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(
            context(&[("traceparent", good)]).traceparent.as_deref(),
            Some(good)
        );
        for bad in [
            "",
            "00-0-0-01",
            &good.to_uppercase(),
            &good.replace('4', "x"),
        ] {
            assert_eq!(context(&[("traceparent", bad)]).traceparent, None, "{bad}");
        }
    }
}
