//! Which part of the log is looked at, as addresses say it.

use brokkr_api::Time;
use brokkr_core::ids::WorkOrderId;
use brokkr_core::life::Ending;
use brokkr_core::names::WorkType;
use brokkr_core::time::Timestamp;
use serde::Deserialize;
use uuid::Uuid;

use super::order_filter::sought;
use super::page::url_encoded;
use crate::app::log::{LogFilter, LogPosition};
use crate::app::work_orders::Terms;

/// The fields of the address, as they were written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    /// From this time on: RFC 3339, or a day.
    pub(super) since: String,
    /// Before this time.
    pub(super) until: String,
    pub(super) ending: String,
    #[serde(rename = "type")]
    pub(super) work_type: String,
    pub(super) agent: String,
    pub(super) by: String,
    /// `true` for those that lost an attempt, `false` for the others.
    pub(super) lost_attempt: String,
    /// The last entry of the page before.
    pub(super) after: String,
}

/// A part of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) filter: LogFilter,
    /// Only entries that come after this in the list, which begins with the latest.
    pub(super) after: Option<LogPosition>,
}

impl Asked {
    /// The part that is meant, or a sentence that says what cannot be understood.
    pub(super) fn part(&self) -> Result<Part, String> {
        let until = said(&self.until, |text| time("until", text))?;
        // No id is smaller, so this is before all that ended at that time.
        let until = until.map(|completed_at| LogPosition {
            completed_at,
            id: WorkOrderId::new(Uuid::nil()),
        });
        let after = said(&self.after, |text| {
            position(text).ok_or_else(|| "There is no such page.".to_owned())
        })?;
        Ok(Part {
            filter: LogFilter {
                terms: Terms {
                    work_type: said(&self.work_type, |text| {
                        WorkType::parse(text).map_err(|_| format!("{text:?} can be no type of work."))
                    })?,
                    agent: said(&self.agent, |text| {
                        text.parse()
                            .map_err(|_| format!("{text:?} is no id of an agent."))
                    })?,
                    submitted_by: sought(&self.by)?,
                    ..Terms::default()
                },
                ending: said(&self.ending, ending)?,
                lost_attempt: said(&self.lost_attempt, |text| {
                    text.parse()
                        .map_err(|_| format!("lost_attempt: {text:?} is neither true nor false."))
                })?,
                ended_from: said(&self.since, |text| time("since", text))?,
                ..LogFilter::default()
            },
            after: after.or(until),
        })
    }

    /// The part as an address says it, without a page.
    pub(super) fn query(&self) -> String {
        let fields = [
            ("since", &self.since),
            ("until", &self.until),
            ("ending", &self.ending),
            ("type", &self.work_type),
            ("agent", &self.agent),
            ("by", &self.by),
            ("lost_attempt", &self.lost_attempt),
        ];
        let said = fields.iter().filter(|(_, text)| !text.trim().is_empty());
        let pairs: Vec<String> = said
            .map(|(name, text)| format!("{name}={}", url_encoded(text.trim())))
            .collect();
        pairs.join("&")
    }

    /// The page that begins after an entry.
    pub(super) fn page_after(&self, last: LogPosition) -> String {
        let position = format!("{}.{}", last.completed_at.as_micros(), last.id);
        format!("/log?{}&after={}", self.query(), url_encoded(&position))
    }
}

fn said<T>(text: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<Option<T>, String> {
    match text.trim() {
        "" => Ok(None),
        text => parse(text).map(Some),
    }
}

fn time(field: &str, text: &str) -> Result<Timestamp, String> {
    let day = format!("{text}T00:00:00Z");
    let time: Time = text.parse().or_else(|_| day.parse()).map_err(|_| {
        format!("{field}: {text:?} is no time such as 2026-01-31T09:30:00Z, and no day such as 2026-01-31.")
    })?;
    Ok(Timestamp::from_micros(time.as_micros()))
}

fn ending(text: &str) -> Result<Ending, String> {
    Ending::ALL
        .into_iter()
        .find(|ending| ending.as_str().eq_ignore_ascii_case(text))
        .ok_or_else(|| format!("{text:?} is no ending."))
}

fn position(text: &str) -> Option<LogPosition> {
    let (micros, id) = text.split_once('.')?;
    Some(LogPosition {
        completed_at: Timestamp::from_micros(micros.parse().ok()?),
        id: id.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(fields: &str) -> Asked {
        serde_urlencoded::from_str(fields).unwrap()
    }

    #[test]
    fn what_an_address_asks_for_is_what_its_links_ask_for_too() {
        let all = "since=2026-01-31T09:30:00%2B02:00&until=2026-02-01&ending=FAILED&type=command\
                   &agent=019ac1d2-7c4e-7f3a-8f0c-7b1f5a9e3d21&by=admin:anna&lost_attempt=true";
        let part = asked(all).part().unwrap();
        assert_eq!(part.filter.ending, Some(Ending::Failed));
        assert_eq!(part.filter.lost_attempt, Some(true));
        assert_eq!(part.filter.terms.submitted_by.as_deref(), Some("admin:anna"));
        assert_eq!(
            part.after.map(|until| until.completed_at.as_micros()),
            Some(1_769_904_000_000_000)
        );
        assert_eq!(asked(&asked(all).query()).part(), Ok(part));
    }

    #[test]
    fn what_cannot_be_understood_is_said() {
        for (fields, word) in [
            ("since=yesterday", "since"),
            ("until=12", "until"),
            ("ending=well", "ending"),
            ("agent=runner", "agent"),
            ("lost_attempt=some", "lost_attempt"),
            ("after=nothing", "page"),
        ] {
            let sentence = asked(fields).part().unwrap_err();
            assert!(sentence.contains(word), "{sentence}");
        }
        assert_eq!(asked("since=+&agent=").part(), Asked::default().part());
    }
}
