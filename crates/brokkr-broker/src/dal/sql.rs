//! Statements: named texts that both databases understand, and the few that must differ.

use std::sync::OnceLock;

use super::value::Kind;

/// Which database a text is for. Only this module and the drivers' own code look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL 13 and later.
    Postgres,
    /// SQLite 3.42 and later.
    Sqlite,
}

/// A statement. Always a `static` made by `statements!`, so that a test prepares every one of them on
/// both databases.
///
/// Parameters are `$1`, `$2` and so on. In a shared text `{uuid}` stands for the type of an id (`CAST($1 AS {uuid})`), and
/// in a batch `{input}` stands for the rows of its parameter `$1`.
#[derive(Debug)]
pub struct Sql {
    name: &'static str,
    form: Form,
    postgres: OnceLock<Vec<String>>,
    sqlite: OnceLock<Vec<String>>,
}

#[derive(Debug)]
enum Form {
    Shared(&'static str),
    PerDialect {
        postgres: &'static str,
        sqlite: &'static str,
    },
    OneBatch(&'static str, &'static [(&'static str, Kind)]),
    Batch {
        postgres: &'static str,
        sqlite: &'static [&'static str],
        columns: &'static [(&'static str, Kind)],
    },
}

impl Sql {
    /// One text for both databases. `name` is `noun.verb`, stable, and appears in errors and metrics.
    #[must_use]
    pub const fn shared(name: &'static str, text: &'static str) -> Self {
        Self::of(name, Form::Shared(text))
    }

    /// Two texts, where one cannot do. Say why in the comment above it.
    #[must_use]
    pub const fn per_dialect(name: &'static str, postgres: &'static str, sqlite: &'static str) -> Self {
        Self::of(name, Form::PerDialect { postgres, sqlite })
    }

    /// One text that takes many rows at once: `$1` is a [`Rows`](super::Rows) with `columns`, which the text reads as
    /// `WITH input AS MATERIALIZED ({input}) ...`. Further parameters begin at `$2`.
    #[must_use]
    pub const fn batch(
        name: &'static str,
        text: &'static str,
        columns: &'static [(&'static str, Kind)],
    ) -> Self {
        Self::of(name, Form::OneBatch(text, columns))
    }

    /// [`Sql::batch`] with two texts, where one cannot do.
    #[must_use]
    pub const fn batch_per_dialect(
        name: &'static str,
        postgres: &'static str,
        sqlite: &'static [&'static str; 1],
        columns: &'static [(&'static str, Kind)],
    ) -> Self {
        Self::batch_in_steps(name, postgres, sqlite, columns)
    }

    /// [`Sql::batch`] that changes several tables: one text for PostgreSQL, which can do so in one statement, and for SQLite one
    /// for each table. All are given the same parameters. The answer is that of the first.
    #[must_use]
    pub const fn batch_in_steps(
        name: &'static str,
        postgres: &'static str,
        sqlite: &'static [&'static str],
        columns: &'static [(&'static str, Kind)],
    ) -> Self {
        Self::of(
            name,
            Form::Batch {
                postgres,
                sqlite,
                columns,
            },
        )
    }

    const fn of(name: &'static str, form: Form) -> Self {
        Self {
            name,
            form,
            postgres: OnceLock::new(),
            sqlite: OnceLock::new(),
        }
    }

    /// `noun.verb`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// How many columns the rows of a batch have; `None` for a statement without rows.
    pub(crate) const fn batch_columns(&self) -> Option<usize> {
        match &self.form {
            Form::OneBatch(_, columns) | Form::Batch { columns, .. } => Some(columns.len()),
            Form::Shared(_) | Form::PerDialect { .. } => None,
        }
    }

    /// The texts for one database, in the order in which they run, expanded at their first use. There is at least one.
    #[must_use]
    pub fn texts(&'static self, dialect: Dialect) -> &'static [String] {
        let expanded = match dialect {
            Dialect::Postgres => &self.postgres,
            Dialect::Sqlite => &self.sqlite,
        };
        expanded.get_or_init(|| self.expand(dialect))
    }

    fn expand(&self, dialect: Dialect) -> Vec<String> {
        let (texts, columns): (Vec<&str>, _) = match (&self.form, dialect) {
            (Form::Shared(text), _)
            | (Form::PerDialect { postgres: text, .. }, Dialect::Postgres)
            | (Form::PerDialect { sqlite: text, .. }, Dialect::Sqlite) => (vec![text], None),
            (Form::OneBatch(text, columns), _) => (vec![text], Some(*columns)),
            (
                Form::Batch {
                    postgres, columns, ..
                },
                Dialect::Postgres,
            ) => (vec![postgres], Some(*columns)),
            (Form::Batch { sqlite, columns, .. }, Dialect::Sqlite) => (sqlite.to_vec(), Some(*columns)),
        };
        let uuid = match dialect {
            Dialect::Postgres => "UUID",
            Dialect::Sqlite => "TEXT",
        };
        let expand = |text: &str| {
            let text = text.replace("{uuid}", uuid);
            match columns {
                Some(columns) => text.replace("{input}", &input_rows(columns, dialect)),
                None => text,
            }
        };
        texts.into_iter().map(expand).collect()
    }
}

fn input_rows(columns: &[(&str, Kind)], dialect: Dialect) -> String {
    let columns: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(index, (name, kind))| {
            let value = match (dialect, kind) {
                (Dialect::Postgres, Kind::Text) => format!("value->>{index}"),
                (Dialect::Postgres, Kind::Uuid) => format!("(value->>{index})::uuid"),
                (Dialect::Postgres, Kind::BigInt) => format!("(value->>{index})::bigint"),
                (Dialect::Postgres, Kind::Bool) => format!("(value->>{index})::boolean"),
                (Dialect::Postgres, Kind::Bytes) => format!("decode(value->>{index}, 'hex')"),
                (Dialect::Sqlite, Kind::Bytes) => format!("unhex(value->>{index})"),
                (Dialect::Sqlite, _) => format!("value->>{index}"),
            };
            format!("{value} AS {name}")
        })
        .collect();
    let source = match dialect {
        Dialect::Postgres => "jsonb_array_elements($1::jsonb)",
        Dialect::Sqlite => "json_each($1)",
    };
    format!("SELECT {} FROM {source}", columns.join(", "))
}

/// Declares the statements of one noun, and the list of all of them that the tests prepare.
macro_rules! statements {
    ($($(#[$doc:meta])* static $name:ident = $sql:expr;)*) => {
        $($(#[$doc])* static $name: $crate::dal::Sql = $sql;)*

        /// Every statement of this module.
        pub(in crate::dal) static STATEMENTS: &[&$crate::dal::Sql] = &[$(&$name),*];
    };
}
pub(crate) use statements;

#[cfg(test)]
mod tests {
    use super::*;

    static BATCH: Sql = Sql::batch(
        "tests.batch",
        "WITH input AS MATERIALIZED ({input}) SELECT * FROM input WHERE id = CAST($2 AS {uuid})",
        &[
            ("id", Kind::Uuid),
            ("attempt", Kind::BigInt),
            ("data", Kind::Bytes),
        ],
    );

    #[test]
    fn a_batch_reads_its_rows_in_the_words_of_each_database() {
        assert_eq!(
            BATCH.texts(Dialect::Postgres)[0],
            "WITH input AS MATERIALIZED (SELECT (value->>0)::uuid AS id, (value->>1)::bigint AS attempt, \
             decode(value->>2, 'hex') AS data FROM jsonb_array_elements($1::jsonb)) \
             SELECT * FROM input WHERE id = CAST($2 AS UUID)"
        );
        assert_eq!(
            BATCH.texts(Dialect::Sqlite)[0],
            "WITH input AS MATERIALIZED (SELECT value->>0 AS id, value->>1 AS attempt, unhex(value->>2) AS data \
             FROM json_each($1)) SELECT * FROM input WHERE id = CAST($2 AS TEXT)"
        );
    }

    #[test]
    fn each_database_gets_its_own_text_where_they_differ() {
        static DIFFERENT: Sql = Sql::per_dialect("tests.different", "one", "other");
        assert_eq!(DIFFERENT.texts(Dialect::Postgres), ["one"]);
        assert_eq!(DIFFERENT.texts(Dialect::Sqlite), ["other"]);
    }
}
