//! The two schemas say the same: a statement that works on one works on the other.

use std::collections::{BTreeMap, BTreeSet};

use brokkr_broker::dal::{Db, Row, Sql};
use brokkr_testkit::{Backend, TestDb};

static COLUMNS: Sql = Sql::per_dialect(
    "tests.columns",
    "SELECT table_name::text AS table_name, column_name::text AS column_name,
            is_nullable::text = 'YES' AS nullable,
            CASE data_type::text WHEN 'uuid' THEN 'text' WHEN 'bigint' THEN 'integer'
                 WHEN 'boolean' THEN 'integer' WHEN 'bytea' THEN 'blob' ELSE data_type::text END AS kind
       FROM information_schema.columns
       JOIN information_schema.tables USING (table_schema, table_name)
      WHERE table_schema = 'public' AND table_type = 'BASE TABLE'",
    "SELECT tables.name AS table_name, columns.name AS column_name,
            NOT columns.\"notnull\" AS nullable, lower(columns.type) AS kind
       FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns
      WHERE tables.type = 'table'",
);

static INDEXES: Sql = Sql::per_dialect(
    "tests.indexes",
    "SELECT tables.relname::text AS table_name,
            CASE WHEN indisprimary THEN 'primary key' ELSE indexes.relname::text END AS index_name,
            indisunique AS uniq, indpred IS NOT NULL AS partial,
            attname::text AS column_name, (indoption[position - 1] & 1) = 1 AS descending
       FROM pg_index
       JOIN pg_class AS tables ON tables.oid = indrelid
       JOIN pg_class AS indexes ON indexes.oid = indexrelid
       JOIN pg_namespace ON pg_namespace.oid = tables.relnamespace
      CROSS JOIN LATERAL unnest(indkey) WITH ORDINALITY AS keys (attribute, position)
       JOIN pg_attribute ON attrelid = indrelid AND attnum = keys.attribute
      WHERE nspname = 'public'
      ORDER BY 1, 2, position",
    "SELECT tables.name AS table_name,
            CASE indexes.origin WHEN 'pk' THEN 'primary key' ELSE indexes.name END AS index_name,
            indexes.\"unique\" AS uniq, indexes.partial AS partial,
            columns.name AS column_name, columns.\"desc\" AS descending, columns.seqno AS place
       FROM sqlite_master AS tables, pragma_index_list(tables.name) AS indexes,
            pragma_index_xinfo(indexes.name) AS columns
      WHERE tables.type = 'table' AND columns.key
      UNION ALL
     -- A number that is counted by the database is its table's own order, and has no index besides.
     SELECT tables.name, 'primary key', 1, 0, columns.name, 0, 0
       FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns
      WHERE tables.type = 'table' AND columns.pk = 1
        AND NOT EXISTS (SELECT 1 FROM pragma_index_list(tables.name) AS indexes WHERE indexes.origin = 'pk')
      ORDER BY 1, 2, 7",
);

static REFERENCES: Sql = Sql::per_dialect(
    "tests.references",
    "SELECT conrelid::regclass::text AS table_name, attname::text AS column_name,
            confrelid::regclass::text AS target, confdeltype = 'c' AS cascades
       FROM pg_constraint
       JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
      WHERE contype = 'f'",
    "SELECT tables.name AS table_name, keys.\"from\" AS column_name, keys.\"table\" AS target,
            keys.on_delete = 'CASCADE' AS cascades
       FROM sqlite_master AS tables, pragma_foreign_key_list(tables.name) AS keys
      WHERE tables.type = 'table'",
);

/// The history of migrations is kept by the driver, and SQLite's own tables are its own.
fn ours(row: &Row) -> bool {
    let table = text(row, "table_name");
    table != "_sqlx_migrations" && !table.starts_with("sqlite_")
}

fn text(row: &Row, column: &'static str) -> String {
    row.get(column).unwrap()
}

fn truth(row: &Row, column: &'static str) -> bool {
    row.get(column).unwrap()
}

async fn rows(db: &Db, sql: &'static Sql) -> Vec<Row> {
    let mut tx = db.read().await.unwrap();
    let rows = tx.fetch_all(sql, vec![]).await.unwrap();
    rows.into_iter().filter(ours).collect()
}

async fn columns(db: &Db) -> BTreeSet<String> {
    let describe = |row: &Row| {
        let nullable = if truth(row, "nullable") {
            "NULL"
        } else {
            "NOT NULL"
        };
        let (table, column, kind) = (
            text(row, "table_name"),
            text(row, "column_name"),
            text(row, "kind"),
        );
        format!("{table}.{column} {kind} {nullable}")
    };
    rows(db, &COLUMNS).await.iter().map(describe).collect()
}

async fn indexes(db: &Db) -> BTreeMap<String, Vec<String>> {
    let mut indexes = BTreeMap::<_, Vec<_>>::new();
    for row in rows(db, &INDEXES).await {
        let kind = match (truth(&row, "uniq"), truth(&row, "partial")) {
            (true, true) => "unique, partial",
            (true, false) => "unique",
            (false, true) => "partial",
            (false, false) => "plain",
        };
        let direction = if truth(&row, "descending") { " DESC" } else { "" };
        indexes
            .entry(format!(
                "{} of {} ({kind})",
                text(&row, "index_name"),
                text(&row, "table_name")
            ))
            .or_default()
            .push(format!("{}{direction}", text(&row, "column_name")));
    }
    indexes
}

async fn references(db: &Db) -> BTreeSet<String> {
    let describe = |row: &Row| {
        let cascades = if truth(row, "cascades") { " (cascades)" } else { "" };
        let (table, column, target) = (
            text(row, "table_name"),
            text(row, "column_name"),
            text(row, "target"),
        );
        format!("{table}.{column} -> {target}{cascades}")
    };
    rows(db, &REFERENCES).await.iter().map(describe).collect()
}

#[tokio::test]
async fn both_schemas_have_the_same_tables_columns_indexes_and_references() {
    let postgres = TestDb::start(Backend::Postgres).await;
    let sqlite = TestDb::start(Backend::Sqlite).await;

    let columns_of_both = (columns(&postgres).await, columns(&sqlite).await);
    assert!(
        columns_of_both.0.len() > 100,
        "the introspection finds the columns"
    );
    similar(&columns_of_both.0, &columns_of_both.1);

    let indexes_of_both = (indexes(&postgres).await, indexes(&sqlite).await);
    assert_eq!(indexes_of_both.0, indexes_of_both.1);

    let references_of_both = (references(&postgres).await, references(&sqlite).await);
    assert!(
        !references_of_both.0.is_empty(),
        "the introspection finds the references"
    );
    similar(&references_of_both.0, &references_of_both.1);
}

/// Shows the differences alone, which are hard to see in two long sets.
fn similar(postgres: &BTreeSet<String>, sqlite: &BTreeSet<String>) {
    let differences: Vec<_> = postgres.symmetric_difference(sqlite).collect();
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn both_schemas_check_the_same_invariants() {
    let (postgres, sqlite) = (checks("postgres"), checks("sqlite"));
    assert!(postgres.len() > 50, "the checks are found");
    assert_eq!(postgres, sqlite);
}

/// The CHECKs of all migrations, as they are written: the databases tell them in words of their own.
fn checks(database: &str) -> Vec<String> {
    let directory = format!("{}/migrations/{database}", env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let scripts = files.iter().map(|file| std::fs::read_to_string(file).unwrap());
    let checks = scripts.flat_map(|script| {
        let lines = script.lines().filter_map(|line| line.split_once(" CHECK "));
        lines
            .map(|(_, check)| check.trim_end_matches([',', ';']).to_owned())
            .collect::<Vec<_>>()
    });
    // PostgreSQL has a type for truth values.
    checks.filter(|check| !check.ends_with("IN (0, 1))")).collect()
}
