//! How the databases go about a statement.

use brokkr_broker::dal::{Dialect, Row, Sql, Tx, Value, all_statements};

/// What the statements call the queue's tables; SQLite's plans have no other names for them.
const SQLITE_NAMES: [&str; 6] = [
    "work_orders",
    "work_order_log",
    "work_order_routes",
    "first",
    "routes",
    "waiting",
];

/// The steps in which a statement was run, as its database tells them.
pub(super) struct Plan {
    dialect: Dialect,
    steps: Vec<String>,
}

/// Runs a statement and tells how; on SQLite it is not run. What it did is undone.
///
/// On PostgreSQL it is prepared as the broker's statements are, so that the same plan is made.
pub(super) async fn explain(tx: &mut Tx, dialect: Dialect, name: &str, values: Vec<Value>) -> Plan {
    let sql = all_statements()
        .into_iter()
        .find(|sql| sql.name() == name)
        .expect("there is such a statement");
    let text = &sql.texts(dialect)[0];
    let rows = match dialect {
        Dialect::Postgres => {
            let literals: Vec<_> = values.iter().map(literal).collect();
            let given = if literals.is_empty() {
                String::new()
            } else {
                format!("({})", literals.join(", "))
            };
            run(tx, format!("PREPARE explained AS {text}"), vec![]).await;
            let explain = "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF)";
            let rows = run(tx, format!("{explain} EXECUTE explained {given}"), vec![]).await;
            run(tx, "DEALLOCATE explained".to_owned(), vec![]).await;
            rows
        }
        Dialect::Sqlite => run(tx, format!("EXPLAIN QUERY PLAN {text}"), values).await,
    };
    let column = match dialect {
        Dialect::Postgres => "QUERY PLAN",
        Dialect::Sqlite => "detail",
    };
    let steps = rows.iter().map(|row| row.get(column).unwrap()).collect();
    Plan { dialect, steps }
}

async fn run(tx: &mut Tx, text: String, values: Vec<Value>) -> Vec<Row> {
    let text: &'static str = text.leak();
    let sql: &'static Sql = Box::leak(Box::new(Sql::shared("tests.explain", text)));
    tx.fetch_all(sql, values).await.unwrap()
}

fn literal(value: &Value) -> String {
    match value {
        Value::Uuid(Some(id)) => format!("'{id}'"),
        Value::Text(Some(text)) => format!("'{}'", text.replace('\'', "''")),
        Value::BigInt(Some(number)) => number.to_string(),
        Value::Bool(Some(truth)) => truth.to_string(),
        Value::Uuid(None) | Value::Text(None) | Value::BigInt(None) | Value::Bool(None) => "NULL".to_owned(),
        other => panic!("{other:?} has no literal here"),
    }
}

impl Plan {
    /// How many rows and index entries of the queue were read. SQLite does not tell, but its plan does where it ends early.
    fn rows_read(&self) -> f64 {
        let mut in_scan_of_queue = false;
        let mut loops = 0.0;
        let mut read = 0.0;
        for step in &self.steps {
            if step.contains("(actual rows=") || step.contains("(never executed)") {
                in_scan_of_queue = step.contains("Scan") && step.contains("work_order");
                loops = number_after(step, "loops=").unwrap_or(0.0);
                if in_scan_of_queue {
                    read += loops * number_after(step, "rows=").unwrap_or(0.0);
                }
            } else if in_scan_of_queue && let Some(removed) = number_after(step, "Rows Removed by Filter: ") {
                read += loops * removed;
            }
        }
        read
    }

    /// The largest number of rows that was sorted at a time.
    fn rows_sorted(&self) -> f64 {
        let mut below_sort = false;
        let mut most: f64 = 0.0;
        for step in &self.steps {
            if let Some(rows) = number_after(step, "rows=") {
                if below_sort {
                    most = most.max(rows);
                }
                below_sort = step.contains("Sort");
            }
        }
        most
    }

    /// Asserts that the tables of the queue were read by index, and that no more than so many of their rows were read, or sorted at a
    /// time. SQLite does not count.
    pub(super) fn reads_at_most(&self, rows: u32, what: &str) {
        let told = self.steps.join("\n");
        match self.dialect {
            Dialect::Postgres => {
                assert!(!told.contains("Seq Scan on work_order"), "{what}:\n{told}");
                let most = f64::from(rows);
                let (read, sorted) = (self.rows_read(), self.rows_sorted());
                assert!(read <= most, "{what} read {read} rows, not {most}:\n{told}");
                assert!(sorted <= most, "{what} sorted {sorted} rows, not {most}:\n{told}");
            }
            Dialect::Sqlite => {
                let scanned = |step: &String| {
                    SQLITE_NAMES
                        .iter()
                        .any(|name| step.starts_with(&format!("SCAN {name}")))
                };
                assert!(!self.steps.iter().any(scanned), "{what}:\n{told}");
            }
        }
    }

    /// Asserts that SQLite takes the first rows as they come from an index, instead of sorting all that there are.
    pub(super) fn sorts_nothing_on_sqlite(&self, what: &str) {
        let told = self.steps.join("\n");
        assert!(!told.contains("TEMP B-TREE FOR ORDER BY"), "{what}:\n{told}");
    }
}

fn number_after(text: &str, word: &str) -> Option<f64> {
    let (_, rest) = text.split_once(word)?;
    let digits = rest
        .split(|sign: char| !sign.is_ascii_digit() && sign != '.')
        .next()?;
    digits.parse().ok()
}
