//! A report as tables for people.

use comfy_table::presets::{ASCII_MARKDOWN, NOTHING};
use comfy_table::{CellAlignment, ContentArrangement, Table};

use crate::{Latency, Limit, Machine, Outcome, Report};

const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// How tables are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Columns with spaces between them, for a terminal.
    Terminal,
    /// Tables of GitHub-flavoured Markdown.
    Markdown,
}

impl Format {
    pub(crate) fn table(self, head: &[&str]) -> Table {
        let mut table = Table::new();
        table.load_style(match self {
            Format::Terminal => NOTHING,
            Format::Markdown => ASCII_MARKDOWN,
        });
        table.set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(head.to_vec());
        table
    }
}

/// Everything in a report: where it ran, a row for each measurement, what else was seen, and the raw limits.
#[must_use]
pub fn render(report: &Report, format: Format) -> String {
    let parts = [
        machine(&report.machine),
        rows(&report.rows, format),
        notes(&report.rows),
        limits(&report.limits, format),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n")
}

fn machine(machine: &Machine) -> String {
    let settings: Vec<String> = machine
        .settings
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    format!(
        "{} on {} cores, {:.1} GiB, Linux {}; {}; {}\nbrokkr {}\n",
        machine.database,
        machine.cores,
        machine.memory_bytes as f64 / MEBIBYTE / 1024.0,
        machine.kernel,
        machine.date,
        settings.join(", "),
        machine.command,
    )
}

fn rows(rows: &[Outcome], format: Format) -> String {
    let mut table = format.table(&[
        "scenario",
        "variant",
        "per second",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "max ms",
        "errors",
        "contention",
        "broker CPU s",
        "database CPU s",
        "client CPU s",
        "broker MiB",
        "database MiB",
        "statements",
        "of raw",
    ]);
    for row in rows {
        table.add_row(cells(row));
    }
    align_numbers(&mut table, 2);
    format!("{}\n", table.trim_fmt())
}

fn cells(row: &Outcome) -> Vec<String> {
    let latency = |pick: fn(&Latency) -> f64| {
        row.latency
            .as_ref()
            .map_or("-".to_owned(), |latency| short(pick(latency)))
    };
    let usage = &row.usage;
    vec![
        row.scenario.clone(),
        format!("{} ({})", row.variant, row.unit),
        short(row.per_second()),
        latency(|latency| latency.p50_ms),
        latency(|latency| latency.p95_ms),
        latency(|latency| latency.p99_ms),
        latency(|latency| latency.max_ms),
        row.errors.to_string(),
        row.contention.to_string(),
        format!("{:.2}", usage.broker_cpu_seconds),
        format!("{:.2}", usage.database_cpu_seconds),
        format!("{:.2}", usage.client_cpu_seconds),
        format!("{:.0}", usage.broker_peak_bytes as f64 / MEBIBYTE),
        format!("{:.0}", usage.database_peak_bytes as f64 / MEBIBYTE),
        format!("{:.2}", row.statements_per_operation()),
        row.limit_ratio
            .map_or("-".to_owned(), |ratio| format!("{ratio:.2}")),
    ]
}

fn notes(rows: &[Outcome]) -> String {
    let noted = rows.iter().filter(|row| !row.notes.is_empty());
    let lines = noted.map(|row| {
        let notes: Vec<String> = row
            .notes
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        format!("- {}, {}: {}\n", row.scenario, row.variant, notes.join("; "))
    });
    lines.collect()
}

fn limits(limits: &[Limit], format: Format) -> String {
    if limits.is_empty() {
        return String::new();
    }
    let mut table = format.table(&["plain SQL", "orders", "seconds", "per second"]);
    for limit in limits {
        table.add_row(vec![
            limit.name.clone(),
            limit.orders.to_string(),
            format!("{:.2}", limit.seconds),
            short(limit.per_second()),
        ]);
    }
    align_numbers(&mut table, 1);
    format!("{}\n", table.trim_fmt())
}

/// From this column on there are only numbers.
pub(crate) fn align_numbers(table: &mut Table, first: usize) {
    for column in table.column_iter_mut().skip(first) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

/// About three digits, as no measurement has more.
pub(crate) fn short(number: f64) -> String {
    match number.abs() {
        0.0 => "0".to_owned(),
        magnitude if magnitude < 10.0 => format!("{number:.2}"),
        magnitude if magnitude < 100.0 => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let row = Outcome {
            scenario: "create".to_owned(),
            variant: "one per call".to_owned(),
            unit: "orders created".to_owned(),
            operations: 5_000,
            seconds: 2.0,
            limit_ratio: Some(0.5),
            notes: vec![("bytes of a list".to_owned(), "12".to_owned())],
            ..Outcome::default()
        };
        Report {
            machine: Machine::default(),
            rows: vec![row],
            limits: vec![Limit {
                name: "create_single".to_owned(),
                orders: 5_000,
                seconds: 1.0,
            }],
        }
    }

    #[test]
    fn a_report_shows_rates_ratios_notes_and_limits() {
        for format in [Format::Terminal, Format::Markdown] {
            let text = render(&report(), format);
            for wanted in ["2500", "0.50", "bytes of a list: 12", "create_single", "5000"] {
                assert!(text.contains(wanted), "{wanted} in\n{text}");
            }
        }
    }

    #[test]
    fn markdown_has_bars() {
        assert!(render(&report(), Format::Markdown).contains("| create"));
    }

    #[test]
    fn numbers_have_about_three_digits() {
        assert_eq!(
            [0.0, 1.234, 12.34, 12_345.6].map(short),
            ["0", "1.23", "12.3", "12346"]
        );
    }
}
