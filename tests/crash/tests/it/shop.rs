//! What the shop's database says: what was sold, and what was done twice.

use crash_tests::Files;
use rusqlite::Connection;

/// What every paid and dispatched checkout applies, each once.
const APPLIED_BY_A_CHECKOUT: usize = 14;

/// The shop's database.
pub(crate) struct Shop(Connection);

impl Shop {
    pub(crate) fn open(files: &Files) -> Self {
        let db = Connection::open(files.shop()).unwrap();
        db.busy_timeout(crate::wait::PATIENCE).unwrap();
        Self(db)
    }

    fn number(&self, sql: &str) -> i64 {
        self.0.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    pub(crate) fn inventory(&self) -> i64 {
        self.number("select sum(inventory) from products")
    }

    /// How many orders were sent on their way, all parts of them.
    pub(crate) fn sold(&self) -> i64 {
        self.number("select count(*) from orders where order_status = 1 and progress_remaining = 0")
    }

    pub(crate) fn orders(&self) -> i64 {
        self.number("select count(*) from orders")
    }

    /// How many transactions were applied.
    pub(crate) fn applied(&self) -> usize {
        usize::try_from(self.number("select count(*) from applied")).unwrap()
    }

    /// What was applied more than once. Nothing keeps the table unique, so a transaction that was
    /// applied twice is there twice.
    pub(crate) fn doubled(&self) -> Vec<String> {
        let sql = "select workflow_id || ' ' || operation || ' x ' || count(*)
                   from applied
                   group by workflow_id, operation
                   having count(*) > 1";
        let mut statement = self.0.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    /// Fails if anything was lost or doubled of this many checkouts, all of them paid.
    #[track_caller]
    pub(crate) fn check_checkouts(&self, checkouts: usize, when: &str) {
        let sold = i64::try_from(checkouts).unwrap();
        let doubled = self.doubled();
        assert!(doubled.is_empty(), "{when}: applied twice: {doubled:?}");
        assert_eq!(self.orders(), sold, "{when}: orders were lost or doubled");
        assert_eq!(self.sold(), sold, "{when}: orders were not dispatched");
        assert_eq!(
            self.inventory() + self.sold(),
            100,
            "{when}: inventory + sold is not what there was"
        );
        assert_eq!(
            self.applied(),
            checkouts * APPLIED_BY_A_CHECKOUT,
            "{when}: transactions were lost or doubled"
        );
    }
}
