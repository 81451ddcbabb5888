//! The id of an event's workflow.

use sha2::{Digest, Sha256};
use stepwell_core::limits::NAME_BYTES_MAX;

const DIGEST: &str = "sha256:";

/// The id that a workflow gets from an event: `stripe-evt_123` for one part that fits, else
/// `orders-sha256:…`, the SHA-256 of source and parts as canonical JSON
/// ([RFC 8785](https://www.rfc-editor.org/rfc/rfc8785)).
///
/// Different events never have one id: a `-` in the source is written `%2D`, a `:` is `%3A`, and a part
/// that looks like a digest is hashed.
///
/// ```
/// use stepwell_events::event_id;
///
/// assert_eq!(event_id("stripe", &["evt_123"]), "stripe-evt_123");
/// assert_eq!(event_id("stripe-eu", &["evt_123"]), "stripe%2Deu-evt_123");
/// assert!(event_id("orders", &["a", "b"]).starts_with("orders-sha256:"));
/// ```
#[must_use]
pub fn event_id(source: &str, parts: &[&str]) -> String {
    let prefix = source.replace('%', "%25");
    let prefix = prefix.replace('-', "%2D").replace(':', "%3A");
    if let [part] = parts {
        let id = format!("{prefix}-{part}");
        if !part.is_empty() && !part.starts_with(DIGEST) && fits(&id) {
            return id;
        }
    }
    let digest = digest(source, parts);
    let id = format!("{prefix}-{DIGEST}{digest}");
    match fits(&id) {
        true => id,
        // No readable id begins so: its source would hold no `-`.
        false => format!("{DIGEST}{digest}"),
    }
}

fn fits(id: &str) -> bool {
    id.len() <= NAME_BYTES_MAX && !id.contains(char::is_control)
}

fn digest(source: &str, parts: &[&str]) -> String {
    let all: Vec<&str> = [source].into_iter().chain(parts.iter().copied()).collect();
    // A list of texts has one spelling in compact JSON, which is the canonical one.
    let json = serde_json::Value::from(all).to_string();
    hex::encode(Sha256::digest(json.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn different_events_have_different_ids() {
        let long = "x".repeat(300);
        let fake = event_id("a", &["b", "c"]).replace("a-", "");
        let events: [(&str, &[&str]); 11] = [
            ("a", &["b-c"]),
            ("a-b", &["c"]),
            ("a%2Db", &["c"]),
            ("a", &["b", "c"]),
            ("a", &["bc"]),
            ("a", &["b,c"]),
            ("a", &[&fake]),
            ("a", &[&long]),
            (&long, &["a"]),
            ("a", &["b\nc"]),
            ("a", &[]),
        ];
        let ids: HashSet<String> = events.iter().map(|(s, parts)| event_id(s, parts)).collect();
        assert_eq!(ids.len(), events.len(), "{ids:?}");
        assert!(ids.iter().all(|id| fits(id)), "{ids:?}");
    }

    #[test]
    fn a_composite_id_is_the_digest_of_its_canonical_json() {
        // printf '["orders","a","b"]' | sha256sum
        assert_eq!(
            event_id("orders", &["a", "b"]),
            "orders-sha256:eaa9648775d547ca073a744d70f32e6297eedbdaed28ea417128f60c840cde63"
        );
    }
}
