//! The one statement that is put together: a list with the conditions that a filter gives.

use rusqlite::types::Value;
use stepwell_core::{State, store::Filter};

use crate::rows::{WORKFLOW_COLUMNS, micros};

/// A statement and what its question marks stand for.
pub(crate) struct Query {
    pub(crate) sql: String,
    pub(crate) values: Vec<Value>,
}

impl Query {
    fn condition(&mut self, sql: &str, values: impl IntoIterator<Item = Value>) {
        self.sql.push_str("\n  and ");
        self.sql.push_str(sql);
        self.values.extend(values);
    }
}

/// As the index of dead letters says it.
const UNACKNOWLEDGED: &str = "w.acknowledged_at is null \
     and (w.state = 'failed' or w.state = 'stuck' or w.state = 'dead')";

/// The workflows that a filter lets through, newest first. Text of the filter goes into values,
/// never into the statement.
pub(crate) fn query(filter: &Filter) -> Query {
    let mut query = Query {
        sql: format!("select {WORKFLOW_COLUMNS}\nfrom workflows as w\nwhere true"),
        values: Vec::new(),
    };
    if !filter.states.is_empty() {
        // As words in the statement: only so SQLite sees that a partial index holds them all.
        let known = State::ALL.map(|state| format!("'{}'", state.as_str()));
        let words: Vec<String> = filter
            .states
            .iter()
            .map(|state| match state {
                State::Unknown => format!("w.state not in ({})", known.join(", ")),
                state => format!("w.state = '{}'", state.as_str()),
            })
            .collect();
        query.condition(&format!("({})", words.join(" or ")), []);
    }
    if let Some(name) = &filter.name {
        query.condition("w.name = ?", [Value::from(name.clone())]);
    }
    if let Some(queue) = &filter.queue {
        query.condition("w.queue_name = ?", [Value::from(queue.clone())]);
    }
    if let Some(prefix) = &filter.id_prefix {
        id_prefix(&mut query, prefix);
    }
    if let Some((name, value)) = &filter.attribute {
        query.condition(
            "w.workflow_key in (select a.workflow_key from attributes as a \
             where a.name = ? and a.value = ?)",
            [Value::from(name.clone()), Value::from(value.clone())],
        );
    }
    if let Some(fingerprint) = &filter.fingerprint {
        query.condition("w.fingerprint = ?", [Value::from(fingerprint.clone())]);
    }
    if filter.unacknowledged {
        query.condition(UNACKNOWLEDGED, []);
    }
    if let Some(from) = filter.created_from {
        query.condition("w.created_at >= ?", [Value::from(micros(from))]);
    }
    if let Some(before) = filter.created_before {
        query.condition("w.created_at < ?", [Value::from(micros(before))]);
    }
    if let Some(before) = filter.before {
        query.condition("w.workflow_key < ?", [Value::from(before.0)]);
    }
    query
        .sql
        .push_str("\norder by w.workflow_key desc\nlimit ?");
    query
        .values
        .push(Value::from(i64::from(filter.page_size())));
    query
}

/// A range of the unique index, not `like`, which gives `%` and `_` a meaning and ignores case.
fn id_prefix(query: &mut Query, prefix: &str) {
    query.condition("w.workflow_id >= ?", [Value::from(prefix.to_owned())]);
    if let Some(behind) = behind(prefix) {
        query.condition("w.workflow_id < ?", [Value::from(behind)]);
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
}
