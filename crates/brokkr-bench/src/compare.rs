//! Two reports side by side.

use crate::table::{Format, align_numbers, short};
use crate::{Outcome, Report};

/// The rates and the slow calls of two runs, row by row, matched by scenario and variant. A row that only one run has is shown too.
#[must_use]
pub fn compare(old: &Report, new: &Report, format: Format) -> String {
    let mut table = format.table(&[
        "scenario",
        "variant",
        "old/s",
        "new/s",
        "new/old",
        "old p99 ms",
        "new p99 ms",
        "new/old",
    ]);
    for row in &new.rows {
        table.add_row(cells(row, find(old, row), Some(row)));
    }
    for row in old.rows.iter().filter(|row| find(new, row).is_none()) {
        table.add_row(cells(row, Some(row), None));
    }
    align_numbers(&mut table, 2);
    format!(
        "{} -> {}\n{}\n",
        old.machine.date,
        new.machine.date,
        table.trim_fmt()
    )
}

fn find<'a>(report: &'a Report, row: &Outcome) -> Option<&'a Outcome> {
    let mut rows = report.rows.iter();
    rows.find(|other| other.scenario == row.scenario && other.variant == row.variant)
}

fn cells(named: &Outcome, old: Option<&Outcome>, new: Option<&Outcome>) -> Vec<String> {
    let rates = (old.map(Outcome::per_second), new.map(Outcome::per_second));
    let slow = |row: &Outcome| row.latency.map_or(f64::NAN, |latency| latency.p99_ms);
    let latencies = (old.map(slow), new.map(slow));
    let names = [named.scenario.clone(), named.variant.clone()];
    names
        .into_iter()
        .chain(pair(rates))
        .chain(pair(latencies))
        .collect()
}

fn pair((old, new): (Option<f64>, Option<f64>)) -> [String; 3] {
    let told = |number: Option<f64>| match number {
        None => "absent".to_owned(),
        Some(number) if number.is_nan() => "-".to_owned(),
        Some(number) => short(number),
    };
    let ratio = match (old, new) {
        (Some(old), Some(new)) if 0.0 < old && !new.is_nan() => format!("{:.2}", new / old),
        _ => "-".to_owned(),
    };
    [told(old), told(new), ratio]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Machine;

    fn report(rows: &[(&str, u64)]) -> Report {
        let rows = rows.iter().map(|(variant, operations)| Outcome {
            scenario: "drain".to_owned(),
            variant: (*variant).to_owned(),
            operations: *operations,
            seconds: 1.0,
            ..Outcome::default()
        });
        Report {
            machine: Machine::default(),
            rows: rows.collect(),
            limits: Vec::new(),
        }
    }

    #[test]
    fn rows_are_matched_by_name_and_lonely_ones_are_told() {
        let text = compare(
            &report(&[("a", 100), ("gone", 7)]),
            &report(&[("a", 150), ("new", 9)]),
            Format::Terminal,
        );
        let line = |name: &str| {
            text.lines()
                .find(|line| line.contains(name))
                .unwrap_or_default()
                .to_owned()
        };
        assert!(line(" a ").contains("1.50"), "{text}");
        assert!(
            line("gone").contains("absent") && line(" new  ").contains("absent"),
            "{text}"
        );
    }
}
