//! The ids that Stepwell makes: what each is of, a `~`, and who has made it.
//!
//! | of | id |
//! |---|---|
//! | a second try of `order-7` | `order-7~2` |
//! | its child, started by the operation `1.0` of the row 57 | `order-7~child-1.0-57` |
//! | an alert about it | `order-7~alert-…` |
//! | work that would have had an id which other work has | `order-7~beside-…` |
//! | a tick of the schedule `nightly` | `nightly~tick-2026-11-30T03:00:00Z` |
//! | one that somebody has triggered | `nightly~trigger-…` |
//! | an event of the source `stripe` | `stripe~event-evt_1` |
//! | an event that no workflow could be made of | `stripe~event-evt_1~poison-…` |
//! | a request with a key, of a principal | `POST /pay~key-ann:k1` |
//! | an alert about `checkout` failing alike again and again | `checkout~failures-sha256:…` |
//!
//! Two of different makers never meet: the text behind the last `~` begins with the maker's word, and
//! callers can choose no id with a `~`. Two of one maker never meet: parts are escaped, and what is too
//! long or cannot be shown is replaced by a SHA-256 of all of it.

use sha2::{Digest, Sha256};

use super::{MARK, WorkflowId, given::flaw};
use crate::{id::WorkflowKey, limits::NAME_BYTES_MAX, position::Position};

/// What stands before a digest. A part that begins so itself is hashed.
const DIGEST: &str = "sha256:";

/// The longest that a child's position is written out.
const POSITION_BYTES_MAX: usize = 64;

/// Who has made an id of something that has a name: a schedule, a source, an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maker {
    /// A tick of a schedule: its instant.
    Tick,
    /// A start by hand of what a schedule starts.
    Trigger,
    /// A source of events: the event's id, in one part or several.
    Event,
    /// A request: the principal, if there is one, and the key.
    Key,
    /// An alert about failures that repeat themselves.
    Failures,
}

impl Maker {
    fn word(self) -> &'static str {
        match self {
            Self::Tick => "tick",
            Self::Trigger => "trigger",
            Self::Event => "event",
            Self::Key => "key",
            Self::Failures => "failures",
        }
    }

    /// The parts in one readable text that no other parts make. None if there is none.
    fn readable(self, parts: &[&str]) -> Option<String> {
        let text = match (self, parts) {
            (Self::Key, parts) => {
                let parts = parts.iter().map(|part| escaped(part).replace(':', "%3A"));
                parts.collect::<Vec<_>>().join(":")
            }
            (_, [part]) => escaped(part),
            _ => return None,
        };
        (!text.is_empty() && !text.starts_with(DIGEST)).then_some(text)
    }
}

/// The id of a maker for a thing that has a name, and these parts. The same for the same, and another
/// one for everything else.
#[must_use]
pub fn named(name: &str, maker: Maker, parts: &[&str]) -> WorkflowId {
    let (of, word) = (escaped(name), maker.word());
    let readable = maker.readable(parts);
    let readable = readable.map(|text| format!("{of}{MARK}{word}-{text}"));
    if let Some(id) = readable.filter(|id| fits(id)) {
        return WorkflowId(id);
    }
    let all: Vec<&str> = [name].into_iter().chain(parts.iter().copied()).collect();
    // A list of texts has one spelling in compact JSON, which is the canonical one (RFC 8785).
    let digest = sha256(serde_json::Value::from(all).to_string().as_bytes());
    let behind = format!("{MARK}{word}-{DIGEST}{digest}");
    WorkflowId(begin(&of, &behind) + &behind)
}

/// The id of the next try of a letter: `order-7` is tried as `order-7~2`, and that as `order-7~3`.
pub(crate) fn next_try(of: &WorkflowId) -> WorkflowId {
    let tried = of.as_str().rsplit_once(MARK);
    let tried = tried.and_then(|(first, number)| Some((first, number.parse::<u32>().ok()?)));
    match tried {
        Some((first, number)) => {
            let first = WorkflowId(first.to_owned());
            below(&first, &number.saturating_add(1).to_string())
        }
        None => below(of, "2"),
    }
}

/// The id of a child that was given none: the same on every replay. The parent's key is in it, because
/// the parent's id may be used again once the parent was deleted, and then these are other children.
pub(crate) fn child(of: &WorkflowId, key: WorkflowKey, position: &Position) -> WorkflowId {
    let mut at = position.to_string();
    if at.len() > POSITION_BYTES_MAX {
        at = format!("{DIGEST}{}", sha256(at.as_bytes()));
    }
    below(of, &format!("child-{at}-{key}"))
}

/// The id of an alert about a workflow: one for each matter.
pub(crate) fn alert(of: &WorkflowId, matter: &str) -> WorkflowId {
    below(of, &format!("alert-{}", short(matter.as_bytes())))
}

/// The id of the workflow that keeps an event of which none could be made: the event's own stays free
/// for the one that should have been. One for each content.
#[must_use]
pub fn poison(event: &WorkflowId, content: &[u8]) -> WorkflowId {
    below(event, &format!("poison-{}", short(content)))
}

/// The id of work whose own belongs to other work: one for each name and input.
pub(crate) fn beside(taken: &WorkflowId, name: &str, input: &str) -> WorkflowId {
    let content = format!("{name}\0{input}");
    below(taken, &format!("beside-{}", short(content.as_bytes())))
}

/// An id behind another one. `behind` is short, begins with its maker's word or is a number, and holds
/// no `~`.
fn below(of: &WorkflowId, behind: &str) -> WorkflowId {
    let readable = format!("{of}{MARK}{behind}");
    if readable.len() <= NAME_BYTES_MAX {
        return WorkflowId(readable);
    }
    let digest = sha256(of.as_str().as_bytes());
    let behind = format!("{MARK}{DIGEST}{digest}{MARK}{behind}");
    WorkflowId(begin(of.as_str(), &behind) + &behind)
}

/// As much of a text as fits before another one, and can be shown.
fn begin(text: &str, behind: &str) -> String {
    let room = NAME_BYTES_MAX.saturating_sub(behind.len());
    let text = text.trim_start();
    let mut begin = String::new();
    for character in text.chars() {
        let end = begin.len() + character.len_utf8();
        if end > room || flaw(character.encode_utf8(&mut [0; 4])).is_some_and(|_| character != ' ')
        {
            break;
        }
        begin.push(character);
    }
    begin
}

fn fits(id: &str) -> bool {
    id.len() <= NAME_BYTES_MAX && flaw(id).is_none()
}

/// A part without the mark.
fn escaped(part: &str) -> String {
    part.replace('%', "%25").replace(MARK, "%7E")
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Half of a SHA-256: two contents with one are not to be found either.
fn short(bytes: &[u8]) -> String {
    hex::encode(&Sha256::digest(bytes)[..16])
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn id(text: &str) -> WorkflowId {
        WorkflowId::new(text).expect("an id")
    }

    fn names(name: &str, maker: Maker, parts: &[&str]) -> String {
        named(name, maker, parts).to_string()
    }

    #[test]
    fn an_id_says_what_it_is_of_and_who_has_made_it() {
        let at = "2026-11-30T03:00:00Z";
        assert_eq!(
            names("nightly", Maker::Tick, &[at]),
            format!("nightly~tick-{at}")
        );
        assert_eq!(
            names("stripe-eu", Maker::Event, &["evt_1"]),
            "stripe-eu~event-evt_1"
        );
        assert_eq!(names("POST /pay", Maker::Key, &["k"]), "POST /pay~key-k");
        assert_eq!(
            names("POST /pay", Maker::Key, &["ann:b", "k"]),
            "POST /pay~key-ann%3Ab:k"
        );
        assert_eq!(
            names("a~b", Maker::Event, &["c~d%"]),
            "a%7Eb~event-c%7Ed%25"
        );
        let position = Position::top(1).child(0);
        let child = child(&id("order-7"), WorkflowKey(57), &position);
        assert_eq!(child.as_str(), "order-7~child-1.0-57");
        assert_eq!(next_try(&child).as_str(), "order-7~child-1.0-57~2");
    }

    #[test]
    fn a_second_try_is_called_like_the_first() {
        let next = |text: &str| next_try(&id(text)).to_string();
        assert_eq!(next("order-7"), "order-7~2");
        assert_eq!(next("order-7~2"), "order-7~3");
        assert_eq!(next("a~b"), "a~b~2");
        let (longest, other) = ("x".repeat(255), "x".repeat(254) + "y");
        assert_eq!(next(&longest), next(&longest));
        assert_ne!(next(&longest), next(&other));
        assert!(next(&longest).ends_with("~2") && next(&next(&longest)).ends_with("~3"));
    }

    #[test]
    fn several_parts_are_the_digest_of_their_canonical_json() {
        // printf '["orders","a","b"]' | sha256sum
        assert_eq!(
            names("orders", Maker::Event, &["a", "b"]),
            "orders~event-sha256:eaa9648775d547ca073a744d70f32e6297eedbdaed28ea417128f60c840cde63"
        );
    }

    #[test]
    fn children_of_children_stay_within_the_limit_and_apart() {
        let (mut ann, mut bob) = (id("ann"), id("bob"));
        let mut seen = HashSet::new();
        for level in 0..200 {
            let position = Position::top(level % 3);
            (ann, bob) = (
                child(&ann, WorkflowKey(7), &position),
                child(&bob, WorkflowKey(7), &position),
            );
            for id in [&ann, &bob] {
                assert!(fits(id.as_str()), "{id}");
                assert!(seen.insert(id.clone()), "{id}");
            }
        }
        assert!(ann.as_str().starts_with("ann~child-0-7"), "{ann}");
    }

    /// Everything that makes ids, with parts that look like each other's ids.
    fn any_made() -> impl Strategy<Value = ((u8, Vec<String>), WorkflowId)> {
        let part = prop_oneof![
            4 => "[ab:%~ -]{0,4}",
            1 => "(a~|)(event|key|child|sha256:|2|tick|poison|beside)(-|:|~)?[0-9a]{0,2}",
            1 => "x{240,260}",
            1 => "(a|\u{202e}|\n| ){1,3}",
        ];
        (0..9_u8, proptest::collection::vec(part, 1..4)).prop_map(|(kind, mut parts)| {
            let made = match kind {
                0..=4 => {
                    let makers = [
                        Maker::Tick,
                        Maker::Trigger,
                        Maker::Event,
                        Maker::Key,
                        Maker::Failures,
                    ];
                    let rest: Vec<&str> = parts[1..].iter().map(String::as_str).collect();
                    named(&parts[0], makers[usize::from(kind)], &rest)
                }
                _ => {
                    parts.resize(2, String::new());
                    // What it is of is an id that was given, or one that was made.
                    let given = WorkflowId::given(parts[0].clone());
                    let of = given.unwrap_or_else(|_| named(&parts[0], Maker::Event, &[&parts[1]]));
                    parts = vec![of.to_string(), parts[1].clone()];
                    match kind {
                        5 => alert(&of, &parts[1]),
                        6 => poison(&of, parts[1].as_bytes()),
                        7 => beside(&of, "name", &parts[1]),
                        _ => {
                            parts.truncate(1);
                            child(&of, WorkflowKey(1), &Position::top(3))
                        }
                    }
                }
            };
            ((kind, parts), made)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn ids_of_different_things_never_meet(all in proptest::collection::vec(any_made(), 2..60)) {
            let mut known = std::collections::HashMap::new();
            for (what, made) in all {
                prop_assert!(fits(made.as_str()) && made.as_str().contains(MARK), "{made:?}");
                prop_assert!(WorkflowId::new(made.as_str()).is_ok());
                prop_assert!(WorkflowId::given(made.as_str()).is_err());
                if let Some(other) = known.insert(made.clone(), what.clone()) {
                    prop_assert_eq!(other, what, "{}", made);
                }
            }
        }
    }
}
