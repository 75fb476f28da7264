//! How times, numbers and other people's texts are told.

use chrono::SecondsFormat;

use crate::time::Timestamp;

/// The most characters of a text from outside that stand in a sentence.
const QUOTED_MAX: usize = 300;

/// A time to the second.
pub(super) fn at(time: Timestamp) -> String {
    time.to_datetime().to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A number of things.
pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        _ => format!("{number} {many}"),
    }
}

/// A text from outside on one line, printable, and not too long.
pub(super) fn quoted(text: &str) -> String {
    let visible: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let line = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= QUOTED_MAX {
        return line;
    }
    let kept: String = line.chars().take(QUOTED_MAX - 1).collect();
    kept + "…"
}

/// `a`, `a or b`, `a, b or c`; of many only the first few.
pub(super) fn any_of(items: &[String]) -> String {
    const TOLD_MAX: usize = 5;
    if items.len() > TOLD_MAX {
        let more = items.len() - TOLD_MAX;
        return format!("{} or {more} more", items[..TOLD_MAX].join(", "));
    }
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
