//! What a list of orders is narrowed to, as its address and its forms say it.

use brokkr_core::ids::AgentId;
use brokkr_core::life::Ending;
use brokkr_core::names::{Label, WorkType};
use serde::Deserialize;

use super::page::{Trouble, url_encoded};
use crate::app::App;
use crate::app::log::LogFilter;
use crate::app::work_orders::{ListFilter, QueueStatus, Terms};

/// The states: the word in the address, and what people read.
pub(super) const STATES: [(&str, &str); 12] = [
    ("", "In the queue"),
    ("PENDING", "Waiting"),
    ("CLAIMED", "Running"),
    ("RETRY_PENDING", "Waiting for a retry"),
    ("SCHEDULED", "Scheduled"),
    ("ENDED", "Ended"),
    ("UNSUCCESSFUL", "Ended without success"),
    ("COMPLETED", "Completed"),
    ("FAILED", "Failed"),
    ("LOST", "Lost"),
    ("CANCELLED", "Cancelled"),
    ("EXPIRED", "Expired"),
];
const SOUGHT_CHARACTERS_MAX: usize = 200;

/// The fields of the form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct OrderFilter {
    pub(super) state: String,
    #[serde(rename = "type")]
    pub(super) work_type: String,
    /// An id.
    pub(super) agent: String,
    pub(super) label: String,
    pub(super) by: String,
    pub(super) text: String,
}

/// What the fields mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Narrowed {
    /// Orders of the queue.
    Queue(ListFilter),
    /// Orders that ended.
    Log(LogFilter),
}

impl OrderFilter {
    /// From a form that has other fields, too.
    pub(super) fn of_form(form: &[(String, String)]) -> OrderFilter {
        let field = |name: &str| {
            let found = form.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        OrderFilter {
            state: field("state"),
            work_type: field("type"),
            agent: field("agent"),
            label: field("label"),
            by: field("by"),
            text: field("text"),
        }
    }

    /// The fields that say something.
    pub(super) fn fields(&self) -> Vec<(&'static str, &str)> {
        let all = [
            ("state", &self.state),
            ("type", &self.work_type),
            ("agent", &self.agent),
            ("label", &self.label),
            ("by", &self.by),
            ("text", &self.text),
        ];
        all.into_iter()
            .map(|(name, value)| (name, value.trim()))
            .filter(|(_, value)| !value.is_empty())
            .collect()
    }

    /// The address of the list, with further fields.
    pub(super) fn address(&self, more: &[(&'static str, &str)]) -> String {
        let pairs: Vec<_> = self
            .fields()
            .iter()
            .chain(more)
            .map(|(name, value)| format!("{name}={}", url_encoded(value)))
            .collect();
        match pairs.is_empty() {
            true => "/orders".to_owned(),
            false => format!("/orders?{}", pairs.join("&")),
        }
    }

    /// Whether it is about orders that ended.
    pub(super) fn is_of_log(&self) -> bool {
        matches!(
            self.state.as_str(),
            "ENDED" | "UNSUCCESSFUL" | "COMPLETED" | "FAILED" | "LOST" | "CANCELLED" | "EXPIRED"
        )
    }

    /// What it means, or which of its fields means nothing.
    pub(super) fn narrowed(&self) -> Result<Narrowed, &'static str> {
        if !STATES.iter().any(|(word, _)| *word == self.state) {
            return Err("There is no such state.");
        }
        let terms = self.terms()?;
        if !self.is_of_log() {
            let status = QueueStatus::ALL
                .into_iter()
                .find(|status| status.as_str() == self.state);
            return Ok(Narrowed::Queue(ListFilter {
                status,
                terms,
                until: None,
            }));
        }
        Ok(Narrowed::Log(LogFilter {
            success: (self.state == "UNSUCCESSFUL").then_some(false),
            ending: self.ending(),
            terms,
            ..LogFilter::default()
        }))
    }

    /// The one way of ending that it is about.
    pub(super) fn ending(&self) -> Option<Ending> {
        match self.state.as_str() {
            "COMPLETED" => Some(Ending::Succeeded),
            "FAILED" => Some(Ending::Failed),
            "LOST" => Some(Ending::Lost),
            "CANCELLED" => Some(Ending::Cancelled),
            "EXPIRED" => Some(Ending::Expired),
            _ => None,
        }
    }

    fn terms(&self) -> Result<Terms, &'static str> {
        let work_type = said(&self.work_type).map(WorkType::parse).transpose();
        let agent = said(&self.agent).map(|id| id.parse::<AgentId>()).transpose();
        let label = said(&self.label).map(Label::parse).transpose();
        Ok(Terms {
            work_type: work_type.map_err(|_| "There can be no such type of work.")?,
            agent: agent.map_err(|_| "There can be no agent with this id.")?,
            label: label.map_err(|_| "There can be no such label.")?,
            submitted_by: sought(&self.by)?,
            text: sought(&self.text)?,
        })
    }
}

/// A text to look for.
pub(super) fn sought(text: &str) -> Result<Option<String>, &'static str> {
    match said(text) {
        Some(text) if text.chars().count() > SOUGHT_CHARACTERS_MAX || text.contains('\0') => {
            Err("A text that is sought has at most 200 characters.")
        }
        text => Ok(text.map(str::to_owned)),
    }
}

fn said(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

/// An agent to choose.
pub(super) struct AgentChoice {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) chosen: bool,
}

/// The agents to choose from: a bounded number of them, and the one that is chosen.
pub(super) async fn agents(
    app: &App,
    caller: &crate::app::caller::Caller,
    chosen: &str,
    limit: u32,
) -> Result<Vec<AgentChoice>, Trouble> {
    let agents = app.list_agents(caller, None, limit).await?;
    let mut choices: Vec<AgentChoice> = agents
        .into_iter()
        .map(|agent| {
            let id = agent.id.to_string();
            AgentChoice {
                chosen: id == chosen,
                name: format!("{} ({})", agent.name.as_str(), agent.cluster_name.as_str()),
                id,
            }
        })
        .collect();
    choices.sort_by(|one, other| one.name.cmp(&other.name));
    if !chosen.is_empty() && !choices.iter().any(|choice| choice.chosen) {
        choices.push(AgentChoice {
            id: chosen.to_owned(),
            name: chosen.to_owned(),
            chosen: true,
        });
    }
    Ok(choices)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_state(state: &str) -> OrderFilter {
        OrderFilter {
            state: state.to_owned(),
            ..OrderFilter::default()
        }
    }

    #[test]
    fn every_state_that_can_be_chosen_means_something() {
        for (state, _) in STATES {
            let filter = of_state(state);
            let is_log = matches!(filter.narrowed(), Ok(Narrowed::Log(_)));
            assert_eq!(is_log, filter.is_of_log(), "{state}");
        }
        assert!(of_state("NONSENSE").narrowed().is_err());
    }

    #[test]
    fn the_address_has_what_is_said_and_reads_back() {
        let filter = OrderFilter {
            label: "a&b=c".to_owned(),
            text: " 100 % ".to_owned(),
            ..of_state("PENDING")
        };
        let address = filter.address(&[("after", "1.2")]);
        assert_eq!(
            address,
            "/orders?state=PENDING&label=a%26b%3Dc&text=100%20%25&after=1%2E2"
        );
        assert_eq!(OrderFilter::default().address(&[]), "/orders");
    }

    #[test]
    fn what_cannot_be_is_said_to_be_so() {
        let with = |change: fn(&mut OrderFilter)| {
            let mut filter = OrderFilter::default();
            change(&mut filter);
            filter.narrowed()
        };
        assert!(with(|filter| filter.agent = "runner".to_owned()).is_err());
        assert!(with(|filter| filter.label = "two words".to_owned()).is_err());
        assert!(with(|filter| filter.text = "x".repeat(201)).is_err());
        assert!(with(|filter| filter.text = "\0".to_owned()).is_err());
        assert!(with(|filter| filter.text = "two words".to_owned()).is_ok());
    }
}
