//! How the orders of the last hour and day ended, as an overview shows it.

use brokkr_core::life::Ending;
use brokkr_core::time::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::overview::grouped;
use super::page::Trouble;
use super::plot;
use super::when::{When, span};
use crate::app::recent_endings::{RecentEndings, Slowness, Window};

/// How many orders of the last hour ended in one way.
pub(super) struct Tile {
    pub(super) name: &'static str,
    pub(super) orders: String,
    pub(super) a_minute: String,
    pub(super) link: String,
}

/// A type of work, and how long it takes.
pub(super) struct Slow {
    pub(super) work_type: String,
    pub(super) orders: String,
    pub(super) mean: String,
    pub(super) longest: String,
    pub(super) link: String,
}

/// A drawing, and the same as a table.
pub(super) struct Plot {
    pub(super) title: &'static str,
    /// Made of numbers and words of this module only.
    pub(super) svg: String,
    pub(super) rows: Vec<(String, [Cell; TILES.len()])>,
    pub(super) cut: Option<When>,
}

/// How many orders ended in one way in a part of the time.
pub(super) struct Cell {
    pub(super) orders: u64,
    pub(super) link: String,
}

pub(super) const TILES: [(Ending, &str); 5] = [
    (Ending::Succeeded, "Succeeded"),
    (Ending::Failed, "Failed"),
    (Ending::Lost, "Lost"),
    (Ending::Cancelled, "Cancelled"),
    (Ending::Expired, "Expired"),
];
/// A table of sixty rows helps nobody.
const ROWS_OF_PLOT: u32 = 6;

/// Where the orders are listed that ended since then.
pub(super) fn log_since(since: Timestamp) -> String {
    format!("/log?since={}", in_address(since))
}

fn in_address(time: Timestamp) -> String {
    let time = brokkr_api::Time::from_micros(time.as_micros()).to_string();
    utf8_percent_encode(&time, NON_ALPHANUMERIC).to_string()
}

/// How many a minute there are, of those of an hour.
fn a_minute(orders: u64) -> String {
    match orders {
        0 => "none".to_owned(),
        1..6 => format!("{:.2} a minute", orders as f64 / 60.0),
        _ => format!("{:.1} a minute", orders as f64 / 60.0),
    }
}

impl Tile {
    pub(super) fn new((ending, name): &(Ending, &'static str), hour: &RecentEndings) -> Tile {
        let orders = hour.orders(*ending);
        Tile {
            name,
            a_minute: a_minute(orders),
            orders: grouped(orders),
            link: format!("{}&ending={ending}", log_since(hour.since)),
        }
    }
}

impl Slow {
    pub(super) fn new(slow: &Slowness, hour: &RecentEndings) -> Slow {
        let span = |micros: u64| match micros / 1_000 {
            millis @ 0..1_000 => format!("{millis} ms"),
            millis => span((millis / 1_000).cast_signed()),
        };
        Slow {
            orders: grouped(slow.orders),
            mean: span(slow.mean_micros),
            longest: span(slow.longest_micros),
            link: format!(
                "{}&type={}",
                log_since(hour.since),
                utf8_percent_encode(&slow.work_type, NON_ALPHANUMERIC)
            ),
            work_type: slow.work_type.clone(),
        }
    }
}

impl Plot {
    pub(super) fn new(
        title: &'static str,
        endings: &RecentEndings,
        window: Window,
        now: Timestamp,
    ) -> Result<Plot, Trouble> {
        let said = TILES.map(|(ending, name)| format!("{} {}", endings.orders(ending), name.to_lowercase()));
        let label = format!("Orders that ended: {}", said.join(", "));
        let width = window.buckets() / ROWS_OF_PLOT;
        let rows = (0..ROWS_OF_PLOT).map(|row| {
            let from = window.length() / ROWS_OF_PLOT * row;
            let (begin, end) = (
                endings.since.plus(from),
                endings.since.plus(from + window.length() / ROWS_OF_PLOT),
            );
            let cells = TILES.map(|(ending, _)| {
                let of_it = endings.counts.iter().filter(|count| {
                    count.ending == ending && (count.bucket / width).min(ROWS_OF_PLOT - 1) == row
                });
                Cell {
                    orders: of_it.map(|count| count.orders).sum(),
                    link: format!("{}&until={}&ending={ending}", log_since(begin), in_address(end)),
                }
            });
            let ago = window.length().saturating_sub(from).as_secs().cast_signed();
            (format!("from {} ago", span(ago)), cells)
        });
        let cut = endings
            .cut_at
            .map(|at| brokkr_api::Time::from_micros(at.as_micros()));
        Ok(Plot {
            title,
            svg: plot::bars(endings, window, &label).map_err(|error| Trouble::defect(&error))?,
            rows: rows.collect(),
            cut: When::maybe(cut, now),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::a_minute;

    #[test]
    fn few_orders_are_not_rounded_to_none() {
        assert_eq!(
            [0, 2, 6, 90].map(a_minute),
            ["none", "0.03 a minute", "0.1 a minute", "1.5 a minute"]
        );
    }
}
