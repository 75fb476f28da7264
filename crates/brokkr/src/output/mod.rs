//! How answers are shown: as tables for people, as JSON, YAML or names for programs.

pub(crate) mod age;
pub(crate) mod agents;
pub(crate) mod colour;
pub(crate) mod credentials;
pub(crate) mod details;
pub(crate) mod explanations;
pub(crate) mod orders;
mod table;
mod webhooks;

use std::collections::BTreeMap;
use std::io::{self, Write as _};

use anyhow::Context as _;
use brokkr_api::Time;
use clap::ValueEnum;
use serde::Serialize;
use uuid::Uuid;

pub(crate) use table::{Cell, Column};

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// The most important columns
    Table,
    /// All columns
    Wide,
    /// As the broker says it
    Json,
    /// The same as YAML
    Yaml,
    /// Only what names each thing, as other commands take it
    Name,
}

/// `-o` of every command that shows things.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct OutputArgs {
    /// The form of the answer
    #[arg(short, long, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    pub(crate) output: Format,
}

/// What a table needs to know beside the rows.
#[derive(Debug, Clone)]
pub(crate) struct Around {
    /// Ages are counted from here.
    pub(crate) now: Time,
    /// Names of agents, as far as they are known.
    pub(crate) agents: BTreeMap<Uuid, String>,
}

impl Around {
    /// The agent's name, or its id where the name is not known.
    pub(crate) fn agent(&self, id: Option<Uuid>) -> String {
        match id {
            Some(id) => self.agents.get(&id).cloned().unwrap_or_else(|| id.to_string()),
            None => String::new(),
        }
    }
}

/// Something that can stand in a table.
pub(crate) trait Row: Serialize {
    /// The table's columns, the wide ones included.
    const COLUMNS: &'static [Column];

    /// How other commands name it, such as `order/<id>`.
    fn name(&self) -> String;

    /// One cell for each column.
    fn cells(&self, around: &Around) -> Vec<Cell>;
}

/// Shows several things. An empty table says `nothing` on standard error.
pub(crate) fn list<T: Row>(format: Format, rows: &[T], around: &Around, nothing: &str) -> anyhow::Result<()> {
    match format {
        Format::Table | Format::Wide if rows.is_empty() => {
            eprintln!("{nothing}");
            Ok(())
        }
        Format::Table | Format::Wide => {
            let cells = rows.iter().map(|row| row.cells(around)).collect();
            print(&table::render(T::COLUMNS, cells, format == Format::Wide))
        }
        Format::Json | Format::Yaml => machine(format, &rows),
        Format::Name => names(rows),
    }
}

/// Shows one thing.
pub(crate) fn one<T: Row>(format: Format, row: &T, around: &Around) -> anyhow::Result<()> {
    match format {
        Format::Json | Format::Yaml => machine(format, row),
        _ => list(format, std::slice::from_ref(row), around, ""),
    }
}

/// Shows one more thing below others.
pub(crate) fn another<T: Row>(format: Format, row: &T, around: &Around) -> anyhow::Result<()> {
    match format {
        Format::Table | Format::Wide => {
            let table = table::render(T::COLUMNS, vec![row.cells(around)], format == Format::Wide);
            let row = table.split_once('\n').map_or("", |(_, row)| row);
            print(row)
        }
        Format::Json | Format::Yaml | Format::Name => one(format, row, around),
    }
}

/// A table of rows that no command names, such as attempts within a description.
pub(crate) fn table_of<T: Row>(rows: &[T], around: &Around) -> String {
    table::render(
        T::COLUMNS,
        rows.iter().map(|row| row.cells(around)).collect(),
        true,
    )
}

/// Shows anything as JSON or YAML.
pub(crate) fn machine<T: Serialize>(format: Format, value: &T) -> anyhow::Result<()> {
    let text = match format {
        Format::Yaml => serde_saphyr::to_string(value).context("could not write YAML")?,
        _ => serde_json::to_string_pretty(value).context("could not write JSON")? + "\n",
    };
    print(&text)
}

fn names<T: Row>(rows: &[T]) -> anyhow::Result<()> {
    print(&rows.iter().map(|row| row.name() + "\n").collect::<String>())
}

/// Writes to standard output. Unlike `println!`, a reader that went away is an error and no panic.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("could not write to standard output")
}

/// A text on one line and without control characters, which could otherwise paint over the terminal.
pub(crate) fn one_line(text: &str) -> String {
    let visible: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(one_line("a\x1b[31mred\r\n\tb"), "a [31mred b");
    }
}
