//! What the database says that keeps the workflows.

use std::collections::{BTreeMap, BTreeSet};

use crash_tests::Files;
use rusqlite::{Connection, types::Value};
use stepwell::Place as Position;

/// The database that keeps the workflows, between two processes or beside them.
pub(crate) struct Journal(Connection);

impl Journal {
    /// Opens it; none if no victim has come far enough to make it.
    pub(crate) fn open(files: &Files) -> Option<Self> {
        let db = Connection::open(files.journal()).unwrap();
        db.busy_timeout(crate::wait::PATIENCE).unwrap();
        let there = "select 1 from sqlite_schema where name = 'workflows'";
        let there = db.prepare(there).unwrap().exists([]).unwrap();
        there.then_some(Self(db))
    }

    /// The steps that are recorded, as the log calls them: `<workflow>:<position>`.
    pub(crate) fn recorded_steps(&self) -> BTreeSet<String> {
        let mut statement = self
            .0
            .prepare(
                "select workflow_id, place
                 from records
                 join workflows using (workflow_key)
                 where kind = 'step'",
            )
            .unwrap();
        let rows = statement.query_map([], |row| {
            let workflow: String = row.get(0)?;
            let place: String = row.get(1)?;
            let place = Position::parse(&place).unwrap();
            Ok(format!("{workflow}:{}", place.position().unwrap()))
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// Every workflow and its state.
    pub(crate) fn states(&self) -> BTreeMap<String, String> {
        let sql = "select workflow_id, state from workflows";
        let mut statement = self.0.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// How many workflows are in a state.
    pub(crate) fn count(&self, state: &str) -> usize {
        self.states()
            .values()
            .filter(|known| *known == state)
            .count()
    }

    /// A number that a query answers.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        self.0.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// The numbers that a query answers.
    pub(crate) fn numbers(&self, sql: &str) -> Vec<i64> {
        let mut statement = self.0.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0));
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// A text that a query answers.
    pub(crate) fn text(&self, sql: &str) -> String {
        self.0.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// Why workflows were taken over, each reason with its count.
    pub(crate) fn takeovers(&self) -> BTreeMap<String, i64> {
        let sql = "select why, count(*) from takeovers group by why";
        let mut statement = self.0.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// Every history as far as a crash must not change it: all but instants and chance.
    pub(crate) fn histories(&self) -> String {
        let sql = "
            select group_concat(line, char(10))
            from (
                select workflow_id || ' ' || place || ' ' || kind || ' ' || records.name || ' ' ||
                    case when kind in ('sleep', 'now', 'random', 'attempt') then '' else payload end as line
                from records
                join workflows using (workflow_key)
                order by workflow_id, place
            )";
        self.text(sql)
    }

    /// All that is kept of some workflows, as text. Equal texts, and nothing was written to them.
    pub(crate) fn digest(&self, ids: &[String]) -> String {
        let tables = [
            "workflows",
            "records",
            "attributes",
            "messages",
            "events",
            "stream_entries",
            "takeovers",
        ];
        let mut digest = String::new();
        for id in ids {
            for table in tables {
                digest += &format!("{id} {table} {:?}\n", self.rows(table, id));
            }
        }
        digest
    }

    fn rows(&self, table: &str, id: &str) -> Vec<Vec<Value>> {
        let sql = format!(
            "select * from {table}
             where workflow_key = (select workflow_key from workflows where workflow_id = ?1)
             order by 1, 2, 3"
        );
        let mut statement = self.0.prepare(&sql).unwrap();
        let columns = statement.column_count();
        let rows = statement.query_map([id], |row| (0..columns).map(|at| row.get(at)).collect());
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// The workflows that have not succeeded, in sentences.
    pub(crate) fn unfinished(&self) -> Vec<String> {
        let states = self.states().into_iter();
        states
            .filter(|(_, state)| state != "succeeded")
            .map(|(id, state)| format!("{id} is {state}"))
            .collect()
    }
}
