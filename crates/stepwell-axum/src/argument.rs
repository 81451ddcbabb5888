//! From a request to the arguments of a workflow; the rules are in the crate's documentation.

mod body;
mod text;

use std::collections::{BTreeMap, HashMap};

use axum::body::Bytes;
use http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::problem::Problem;
use body::OneOf;
use text::Lenient;

/// The parts of a request that arguments are made from.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    pub(crate) path: Vec<(String, String)>,
    pub(crate) query: Vec<(String, String)>,
    /// JSON, or nothing. It is known to be JSON, and of a bounded number of values.
    pub(crate) body: Bytes,
}

/// Makes the arguments, a tuple of `arity` members.
pub(crate) fn arguments<A: DeserializeOwned>(arity: usize, parts: Parts) -> Result<A, Problem> {
    match arity {
        0 => none(&parts.body),
        1 => one(parts),
        _ => several(arity, parts),
    }
}

/// Of what clients send that always send something, only that is taken which says nothing.
fn none<A: DeserializeOwned>(body: &[u8]) -> Result<A, Problem> {
    match body.trim_ascii() {
        b"" | b"null" | b"{}" | b"[]" => read(Lenient::Json(RawValue::NULL.to_owned())),
        _ => Err(unprocessable(
            "the workflow takes no arguments; send no body",
        )),
    }
}

fn one<A: DeserializeOwned>(parts: Parts) -> Result<A, Problem> {
    let Parts { path, query, body } = parts;
    if path.is_empty() && query.is_empty() {
        let body = if body.is_empty() { b"null" } else { &*body };
        // Straight into the type: in between it would need a hundred times its size.
        return A::deserialize(OneOf(body)).map_err(|error| unfit(&error));
    }
    let scalar = match path.as_slice() {
        [(_, value)] if query.is_empty() && body.is_empty() => Some(value.clone()),
        _ => None,
    };
    let members: BTreeMap<String, Box<RawValue>> = match body.trim_ascii().first() {
        None => BTreeMap::new(),
        Some(b'{') => serde_json::from_slice(&body).map_err(|error| unfit(&error))?,
        Some(_) => {
            return Err(unprocessable(
                "the body must be a JSON object, to be merged with the path and the query",
            ));
        }
    };
    let mut merged = Members::default();
    query
        .into_iter()
        .for_each(|(name, text)| merged.add(name, text));
    for (name, value) in members {
        merged.set(name, Lenient::Json(value));
    }
    for (name, text) in path {
        merged.set(name, Lenient::Text(text));
    }
    let object = read(Lenient::List(vec![Lenient::Object(merged.members)]));
    match (object, scalar) {
        (Err(problem), Some(text)) => {
            read(Lenient::List(vec![Lenient::Text(text)])).map_err(|_: Problem| problem)
        }
        (object, _) => object,
    }
}

/// Members by name, found in constant time: clients choose how many there are.
#[derive(Default)]
struct Members {
    members: Vec<(String, Lenient)>,
    places: HashMap<String, usize>,
}

impl Members {
    /// Gives a member a value, in the place of the one that it had.
    fn set(&mut self, name: String, value: Lenient) {
        match self.places.get(&name) {
            Some(place) => self.members[*place].1 = value,
            None => {
                self.places.insert(name.clone(), self.members.len());
                self.members.push((name, value));
            }
        }
    }

    /// Gives a member a text; the texts of one name are a list.
    fn add(&mut self, name: String, text: String) {
        let text = Lenient::Text(text);
        let Some(place) = self.places.get(&name) else {
            return self.set(name, text);
        };
        match &mut self.members[*place].1 {
            Lenient::List(texts) => texts.push(text),
            single => {
                let first = std::mem::replace(single, Lenient::List(Vec::new()));
                *single = Lenient::List(vec![first, text]);
            }
        }
    }
}

/// The body in parts: those of a list, or the whole.
fn in_parts(body: &[u8]) -> Result<Vec<Box<RawValue>>, Problem> {
    let read = match body.trim_ascii().first() {
        None => Ok(Vec::new()),
        Some(b'[') => serde_json::from_slice(body),
        Some(_) => serde_json::from_slice(body).map(|whole| vec![whole]),
    };
    read.map_err(|error| unfit(&error))
}

fn several<A: DeserializeOwned>(arity: usize, parts: Parts) -> Result<A, Problem> {
    let mut values: Vec<_> = parts
        .path
        .into_iter()
        .map(|(_, text)| Lenient::Text(text))
        .collect();
    let mut rest = in_parts(&parts.body)?;
    if rest.len() <= 1 || values.len() + rest.len() != arity {
        // One argument, which may be a list.
        let whole: Option<Box<RawValue>> = match parts.body.is_empty() {
            true => None,
            false => Some(serde_json::from_slice(&parts.body).map_err(|error| unfit(&error))?),
        };
        rest = whole.into_iter().collect();
    }
    values.extend(rest.into_iter().map(Lenient::Json));
    if values.len() != arity {
        return Err(unprocessable(format!(
            "the workflow takes {arity} arguments, the path and the body hold {}",
            values.len()
        )));
    }
    read(Lenient::List(values))
}

fn read<A: DeserializeOwned>(value: Lenient) -> Result<A, Problem> {
    A::deserialize(value).map_err(|error| unfit(&error))
}

fn unfit(error: &serde_json::Error) -> Problem {
    unprocessable(format!(
        "the request does not fit the workflow's argument: {error}"
    ))
}

fn unprocessable(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Order {
        id: u64,
        note: Option<String>,
        #[serde(default)]
        express: bool,
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect()
    }

    fn parts(path: &[(&str, &str)], query: &[(&str, &str)], body: Option<Value>) -> Parts {
        Parts {
            path: pairs(path),
            query: pairs(query),
            body: body.map(|body| body.to_string()).unwrap_or_default().into(),
        }
    }

    #[test]
    fn path_query_and_body_are_merged_and_the_path_wins() {
        let body = json!({"id": 1, "note": "from the body"});
        let request = parts(
            &[("id", "7")],
            &[("express", "true"), ("note", "q")],
            Some(body),
        );
        let (order,): (Order,) = arguments(1, request).unwrap();
        let note = Some("from the body".to_owned());
        assert_eq!(
            order,
            Order {
                id: 7,
                note,
                express: true
            }
        );
    }

    #[test]
    fn text_stays_text_where_the_type_wants_text() {
        let request = parts(&[("id", "7")], &[("note", "42")], None);
        let (order,): (Order,) = arguments(1, request).unwrap();
        assert_eq!(order.note.as_deref(), Some("42"));
    }

    #[test]
    fn a_scalar_takes_the_only_path_parameter() {
        assert_eq!(
            arguments::<(u32,)>(1, parts(&[("n", "7")], &[], None)).unwrap(),
            (7,)
        );
        let text = arguments::<(String,)>(1, parts(&[("n", "7")], &[], None)).unwrap();
        assert_eq!(text.0, "7");
    }

    #[test]
    fn a_body_alone_may_be_anything() {
        let request = parts(&[], &[], Some(json!([1, 2])));
        assert_eq!(arguments::<(Vec<u8>,)>(1, request).unwrap().0, [1, 2]);
    }

    #[test]
    fn several_arguments_come_from_the_path_and_then_the_body() {
        let request = parts(&[("from", "ann"), ("n", "3")], &[], Some(json!({"id": 1})));
        let arguments: (String, u8, Order) = arguments(3, request).unwrap();
        assert_eq!(
            (arguments.0.as_str(), arguments.1, arguments.2.id),
            ("ann", 3, 1)
        );
    }

    #[test]
    fn an_array_fills_the_places_that_the_path_leaves() {
        let request = parts(&[("from", "ann")], &[], Some(json!([3, true])));
        let arguments: (String, u8, bool) = arguments(3, request).unwrap();
        assert_eq!(arguments, ("ann".to_owned(), 3, true));
    }

    #[test]
    fn a_name_that_comes_again_is_a_list_and_one_value_may_be_one() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Search {
            tags: Vec<u8>,
        }
        for (query, tags) in [
            (vec![("tags", "1"), ("tags", "2")], vec![1, 2]),
            (vec![("tags", "1")], vec![1]),
        ] {
            let (search,): (Search,) = arguments(1, parts(&[], &query, None)).unwrap();
            assert_eq!(search, Search { tags });
        }
    }

    #[test]
    fn numbers_keep_their_digits_beside_a_path() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Transfer {
            id: u64,
            cents: u128,
            share: f32,
        }
        let parts = |path: &[(&str, &str)], body: &'static str| Parts {
            path: pairs(path),
            query: Vec::new(),
            body: body.into(),
        };
        let body = r#"{"cents": 340282366920938463463374607431768211455, "share": 0.1}"#;
        let (transfer,): (Transfer,) = arguments(1, parts(&[("id", "7")], body)).unwrap();
        let (cents, share) = (u128::MAX, 0.1);
        assert_eq!(
            transfer,
            Transfer {
                id: 7,
                cents,
                share
            }
        );
        let body = "[18446744073709551617, null]";
        let several: (u8, u128, Option<u8>) = arguments(3, parts(&[("n", "1")], body)).unwrap();
        assert_eq!(several, (1, u128::from(u64::MAX) + 2, None));
    }

    #[test]
    fn what_does_not_fit_is_a_422_that_says_why() {
        let problem = arguments::<(Order,)>(1, parts(&[("id", "x")], &[], None)).unwrap_err();
        assert_eq!(problem.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert!(
            problem.to_string().contains("`x` is not a number"),
            "{problem}"
        );
        let problem = arguments::<(u8, u8)>(2, parts(&[("a", "1")], &[], None)).unwrap_err();
        assert!(
            problem.to_string().contains("takes 2 arguments"),
            "{problem}"
        );
    }
}
