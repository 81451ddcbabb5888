//! The digest of what a request asks for: an idempotency key that comes again must come with the same.

use sha2::{Digest as _, Sha256};

/// The digest of the path's parameters, the query and the body, of which `body` is the digest. Without
/// parameters and query it is the body's own.
///
/// Query parameters of one name count in their order, those of different names in any.
pub(super) fn fingerprint(
    path: &[(String, String)],
    query: &[(String, String)],
    body: String,
) -> String {
    if path.is_empty() && query.is_empty() {
        return body;
    }
    let mut query: Vec<_> = query.iter().collect();
    // Stable: `?tag=a&tag=b` is another list than `?tag=b&tag=a`.
    query.sort_by(|one, other| one.0.cmp(&other.0));
    let mut hash = Sha256::new();
    path.iter().for_each(|pair| add(&mut hash, b"p", pair));
    query.iter().for_each(|pair| add(&mut hash, b"q", pair));
    hash.update(b"b");
    hash.update(body);
    hex::encode(hash.finalize())
}

fn add(hash: &mut Sha256, kind: &[u8], (name, value): &(String, String)) {
    hash.update(kind);
    for text in [name, value] {
        // Otherwise `a=bc` and `ab=c` would be one.
        hash.update(text.len().to_string());
        hash.update(b":");
        hash.update(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &[(&str, &str)], query: &[(&str, &str)], body: &str) -> String {
        let owned = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            let pairs = pairs.iter().copied();
            pairs.map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
        };
        fingerprint(&owned(path), &owned(query), body.to_owned())
    }

    #[test]
    fn a_body_alone_is_its_own() {
        assert_eq!(of(&[], &[], "b0d7"), "b0d7");
    }

    #[test]
    fn names_of_a_query_come_in_any_order_and_values_of_one_name_in_theirs() {
        let query = of(&[], &[("b", "1"), ("a", "2"), ("a", "3")], "");
        assert_eq!(of(&[], &[("a", "2"), ("b", "1"), ("a", "3")], ""), query);
        assert_ne!(of(&[], &[("a", "3"), ("a", "2"), ("b", "1")], ""), query);
    }

    #[test]
    fn requests_that_ask_for_something_else_have_another_one() {
        let all = [
            of(&[], &[], "b"),
            of(&[("a", "b")], &[], "b"),
            of(&[("a", "c")], &[], "b"),
            of(&[("ab", "")], &[], "b"),
            of(&[], &[("a", "b")], "b"),
            of(&[("a", "b")], &[("a", "b")], "b"),
            of(&[("a", "b")], &[("a", "b")], "c"),
            of(&[("a", "b"), ("c", "d")], &[], "b"),
            of(&[("a", "b1:c1:d")], &[], "b"),
        ];
        let different: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len(), "{all:?}");
    }
}
