//! Sending an order elsewhere while it waits.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use brokkr_api::{Targeting, TargetingRequest};
use serde::Deserialize;

use super::order::{absent, order_id};
use super::page::Trouble;
use super::session::ConsoleAdmin;
use crate::api::{Problem, targeting};
use crate::app::App;
use crate::app::work_orders::TargetingChangeError;

/// Whom an order is for, one on each line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Targets {
    pub(super) labels: String,
    pub(super) annotations: String,
    pub(super) agents: String,
}

impl Targets {
    pub(super) fn new(targeting: &Targeting) -> Targets {
        let annotations = targeting
            .annotations
            .iter()
            .map(|(key, value)| format!("{key}={value}"));
        let agents = targeting.agent_ids.iter().map(ToString::to_string);
        Targets {
            labels: targeting.labels.join("\n"),
            annotations: annotations.collect::<Vec<_>>().join("\n"),
            agents: agents.collect::<Vec<_>>().join("\n"),
        }
    }

    /// What the API takes. A sentence says which word is none of its kind.
    fn request(&self) -> Result<TargetingRequest, String> {
        let agents = self.agents.split_whitespace().map(|word| {
            word.parse()
                .map_err(|_| format!("{word:?} is no id of an agent."))
        });
        let mut annotations = BTreeMap::new();
        for word in self.annotations.split_whitespace() {
            let (key, value) = word
                .split_once('=')
                .ok_or_else(|| format!("{word:?} is not written as key=value."))?;
            if annotations.insert(key.to_owned(), value.to_owned()).is_some() {
                return Err(format!("The annotation {key:?} is there twice."));
            }
        }
        Ok(TargetingRequest {
            agent_ids: Some(agents.collect::<Result<_, _>>()?),
            labels: Some(self.labels.split_whitespace().map(str::to_owned).collect()),
            annotations: Some(annotations),
        })
    }
}

fn refused(problem: &Problem) -> Trouble {
    Trouble::told(
        problem.code().status(),
        "Not sent elsewhere",
        problem.body().message,
    )
}

pub(super) async fn change(
    State(app): State<App>,
    Path(id): Path<String>,
    ConsoleAdmin { session, form }: ConsoleAdmin<Targets>,
) -> Result<Response, Trouble> {
    let id = order_id(&id)?;
    let request = form.request().map_err(|sentence| Trouble::bad(&sentence))?;
    let targeting = targeting(request, None, &app.limits).map_err(|problem| refused(&problem))?;
    match app.set_targeting(&session.caller, id, &targeting).await {
        Ok(()) => Ok(Redirect::to(&format!("/orders/{id}")).into_response()),
        Err(TargetingChangeError::Absent) => Err(absent()),
        Err(TargetingChangeError::NotWaiting) => Err(Trouble::told(
            StatusCode::CONFLICT,
            "Not sent elsewhere",
            "An agent has claimed the order meanwhile, or it has ended.",
        )),
        Err(TargetingChangeError::UnknownAgent(agent)) => {
            Err(Trouble::bad(&format!("There is no agent {agent}.")))
        }
        Err(TargetingChangeError::Storage(error)) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_form_shows_means_the_same_when_it_is_sent() {
        let targeting = Targeting {
            agent_ids: vec![uuid::Uuid::from_u128(7)],
            labels: vec!["gpu".to_owned(), "a,b".to_owned()],
            annotations: BTreeMap::from([("region".to_owned(), "eu=west".to_owned())]),
        };
        let request = Targets::new(&targeting).request().unwrap();
        assert_eq!(request.agent_ids, Some(targeting.agent_ids));
        assert_eq!(request.labels, Some(targeting.labels));
        assert_eq!(request.annotations, Some(targeting.annotations));
    }

    #[test]
    fn what_is_none_of_its_kind_is_named() {
        let of_agents = Targets {
            agents: "runner".to_owned(),
            ..Targets::default()
        };
        assert!(of_agents.request().unwrap_err().contains("runner"));
        for annotations in ["region", "region=a region=b"] {
            let of_annotations = Targets {
                annotations: annotations.to_owned(),
                ..Targets::default()
            };
            assert!(of_annotations.request().unwrap_err().contains("region"));
        }
    }
}
