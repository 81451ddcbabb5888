//! The one statement that is put together: a list with the conditions that a filter gives.

use stepwell_core::{State, store::Filter};
use tokio_postgres::types::{ToSql, Type};

use crate::{
    params::{At, Param, Value},
    rows::workflow_columns,
};

/// A statement and what its numbers stand for.
pub(crate) struct Query {
    pub(crate) sql: String,
    values: Vec<(Box<dyn ToSql + Sync + Send>, Type)>,
}

impl Query {
    /// The values, as a statement is given them.
    pub(crate) fn params(&self) -> Vec<Param<'_>> {
        let values = self.values.iter();
        values
            .map(|(value, of)| (value.as_ref() as &(dyn ToSql + Sync), of.clone()))
            .collect()
    }

    /// Adds a value and gives back what stands for it.
    fn bind<T: Value + Send + 'static>(&mut self, value: T) -> String {
        self.values.push((Box::new(value), T::TYPE));
        format!("${}", self.values.len())
    }

    fn condition(&mut self, sql: &str) {
        self.sql.push_str("\n  and ");
        self.sql.push_str(sql);
    }
}

/// As the index of dead letters says it.
const UNACKNOWLEDGED: &str = "w.acknowledged_at is null \
     and (w.state = 'failed' or w.state = 'stuck' or w.state = 'dead')";

/// The workflows that a filter lets through, newest first. Text of the filter goes into values,
/// never into the statement.
pub(crate) fn query(filter: &Filter) -> Query {
    let mut query = Query {
        sql: concat!(
            "select",
            workflow_columns!(),
            "\nfrom {schema}.workflows as w\nwhere true"
        )
        .to_owned(),
        values: Vec::new(),
    };
    if !filter.states.is_empty() {
        // As words in the statement: only so Postgres sees that a partial index holds them all.
        let known = State::ALL.map(|state| format!("'{}'", state.as_str()));
        let words: Vec<String> = (filter.states.iter())
            .map(|state| match state {
                State::Unknown => format!("w.state not in ({})", known.join(", ")),
                state => format!("w.state = '{}'", state.as_str()),
            })
            .collect();
        query.condition(&format!("({})", words.join(" or ")));
    }
    if let Some(name) = &filter.name {
        let name = query.bind(name.clone());
        query.condition(&format!("w.name = {name}"));
    }
    if let Some(queue) = &filter.queue {
        // Empty is the name of none.
        let queue = query.bind(queue.clone());
        query.condition(&format!("w.queue_name = {queue} and w.queue_name <> ''"));
    }
    if let Some(prefix) = &filter.id_prefix {
        id_prefix(&mut query, prefix);
    }
    if let Some((name, value)) = &filter.attribute {
        attribute(&mut query, name, value);
    }
    if let Some(fingerprint) = &filter.fingerprint {
        let fingerprint = query.bind(fingerprint.clone());
        query.condition(&format!("w.fingerprint = {fingerprint}"));
    }
    if filter.unacknowledged {
        query.condition(UNACKNOWLEDGED);
    }
    times_and_page(&mut query, filter);
    query
}

fn times_and_page(query: &mut Query, filter: &Filter) {
    if let Some(from) = filter.created_from {
        let from = query.bind(At(from));
        query.condition(&format!("w.created_at >= {from}"));
    }
    if let Some(before) = filter.created_before {
        let before = query.bind(At(before));
        query.condition(&format!("w.created_at < {before}"));
    }
    if let Some(before) = filter.before {
        let before = query.bind(before.0);
        query.condition(&format!("w.workflow_key < {before}"));
    }
    let limit = query.bind(i64::from(filter.page_size()));
    let end = format!("\norder by w.workflow_key desc\nlimit {limit}");
    query.sql.push_str(&end);
}

/// The index is by a hash of the value; the value itself decides.
fn attribute(query: &mut Query, name: &str, value: &str) {
    let name = query.bind(name.to_owned());
    let value = query.bind(value.to_owned());
    query.condition(&format!(
        "w.workflow_key in (select a.workflow_key from {{schema}}.attributes as a \
         where a.name = {name} and hashtextextended(a.value, 0) = hashtextextended({value}, 0) \
         and a.value = {value})"
    ));
}

/// A range of the unique index, not `like`, which gives `%` and `_` a meaning.
fn id_prefix(query: &mut Query, prefix: &str) {
    let from = query.bind(prefix.to_owned());
    query.condition(&format!("w.workflow_id >= {from}"));
    if let Some(behind) = behind(prefix) {
        let behind = query.bind(behind);
        query.condition(&format!("w.workflow_id < {behind}"));
    }
}

/// The first text behind all those that begin with `prefix`: its last character that has a
/// successor, moved on.
fn behind(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        // The range steps over the surrogates, which are no characters.
        if let Some(next) = (last..=char::MAX).nth(1) {
            text.push(next);
            return Some(text);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_range() {
        assert_eq!(behind("order-1").as_deref(), Some("order-2"));
        assert_eq!(behind("a\u{d7ff}").as_deref(), Some("a\u{e000}"));
        assert_eq!(behind("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(behind("\u{10ffff}"), None);
        assert_eq!(behind(""), None);
    }

    #[test]
    fn text_of_a_filter_is_never_in_the_statement() {
        let text = "'; drop table workflows".to_owned();
        let filter = Filter {
            name: Some(text.clone()),
            queue: Some(text.clone()),
            id_prefix: Some(text.clone()),
            attribute: Some((text.clone(), text.clone())),
            ..Filter::default()
        };
        let query = query(&filter);
        assert!(!query.sql.contains("drop"), "{}", query.sql);
        assert_eq!(query.params().len(), 7);
    }
}
