//! What the broker keeps as JSON, because no statement looks into it.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use brokkr_core::ids::AgentId;
use brokkr_core::names::{AnnotationKey, AnnotationValue, Label};
use brokkr_core::retry::{FailureClass, RetryOn};
use brokkr_core::routing::Targeting;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::dal::BoxError;

/// Annotations are pairs and not a map: an order may be for two values of one key.
#[derive(Serialize, Deserialize)]
struct StoredTargeting {
    agent_ids: Vec<Uuid>,
    labels: Vec<String>,
    annotations: Vec<(String, String)>,
}

pub(in crate::dal) fn write_targeting(targeting: &Targeting) -> String {
    let stored = StoredTargeting {
        agent_ids: targeting.agents().iter().map(|id| id.as_uuid()).collect(),
        labels: targeting.labels().iter().map(ToString::to_string).collect(),
        annotations: targeting
            .annotations()
            .iter()
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect(),
    };
    text(&stored)
}

pub(in crate::dal) fn read_targeting(text: &str) -> Result<Targeting, BoxError> {
    let stored: StoredTargeting = serde_json::from_str(text)?;
    let labels = stored
        .labels
        .into_iter()
        .map(Label::parse)
        .collect::<Result<_, _>>()?;
    let annotations = stored
        .annotations
        .into_iter()
        .map(|(key, value)| Ok((AnnotationKey::parse(key)?, AnnotationValue::parse(value)?)))
        .collect::<Result<_, BoxError>>()?;
    let agents = stored.agent_ids.into_iter().map(AgentId::new).collect();
    Ok(Targeting::new(agents, labels, annotations, usize::MAX)?)
}

pub(in crate::dal) fn write_retry_on(retry_on: &RetryOn) -> String {
    let words: Vec<_> = retry_on.iter().map(FailureClass::as_str).collect();
    text(&words)
}

pub(in crate::dal) fn read_retry_on(text: &str) -> Result<RetryOn, BoxError> {
    let words: Vec<String> = serde_json::from_str(text)?;
    let classes = words
        .iter()
        .map(|word| FailureClass::from_str(word))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(RetryOn::new(classes)?)
}

pub(in crate::dal) fn write_metadata(metadata: &BTreeMap<String, String>) -> String {
    text(metadata)
}

pub(in crate::dal) fn read_metadata(text: &str) -> Result<BTreeMap<String, String>, BoxError> {
    Ok(serde_json::from_str(text)?)
}

#[expect(
    clippy::expect_used,
    reason = "texts, lists and maps of texts always become JSON"
)]
fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain values serialise")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_targeting_comes_back_as_it_went() {
        let pair = |key, value| {
            (
                AnnotationKey::parse(key).unwrap(),
                AnnotationValue::parse(value).unwrap(),
            )
        };
        let targeting = Targeting::new(
            vec![AgentId::new(Uuid::from_u128(7))],
            vec![Label::parse("gpu").unwrap()],
            vec![pair("zone", "eu"), pair("zone", "us")],
            9,
        )
        .unwrap();
        assert_eq!(read_targeting(&write_targeting(&targeting)).unwrap(), targeting);
    }

    #[test]
    fn classes_to_retry_come_back_as_they_went() {
        for classes in [vec![], vec![FailureClass::Infrastructure, FailureClass::Work]] {
            let retry_on = RetryOn::new(classes).unwrap();
            assert_eq!(read_retry_on(&write_retry_on(&retry_on)).unwrap(), retry_on);
        }
    }
}
