//! How an order finds its agents: both sides are turned into routes, and an order is for an agent when they share one.

use std::collections::BTreeSet;
use std::fmt;

use crate::ids::AgentId;
use crate::names::{AnnotationKey, AnnotationValue, Label};

/// A routing key: `agent:<id>`, `label:<label>` or `annotation:<key>=<value>`.
///
/// Two different terms never make the same route: the part before the first colon tells the kind, and a key ends at the
/// first `=` that [`Route::annotation`] writes, for which an `=` or `%` inside a key is written as `%3D` or `%25`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route(String);

impl Route {
    /// Leads to one agent.
    #[must_use]
    pub fn agent(id: AgentId) -> Self {
        Self(format!("agent:{id}"))
    }

    /// Leads to every agent that has the label.
    #[must_use]
    pub fn label(label: &Label) -> Self {
        Self(format!("label:{label}"))
    }

    /// Leads to every agent that has the annotation with this value.
    #[must_use]
    pub fn annotation(key: &AnnotationKey, value: &AnnotationValue) -> Self {
        let key = key.as_str().replace('%', "%25").replace('=', "%3D");
        Self(format!("annotation:{key}={value}"))
    }

    /// Takes a route back from where one was stored.
    #[must_use]
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// The label that it leads to, if it leads to one.
    #[must_use]
    pub fn as_label(&self) -> Option<&str> {
        self.0.strip_prefix("label:")
    }

    /// The route as it is stored and compared.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whom an order is for: any agent that is named, has one of the labels, or has one of the annotations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Targeting {
    agents: Vec<AgentId>,
    labels: Vec<Label>,
    annotations: Vec<(AnnotationKey, AnnotationValue)>,
}

/// Why a targeting is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetingError {
    /// It names nobody, so nobody could ever claim the order.
    #[error("the order targets nobody: name at least one agent id, label or annotation")]
    Empty,
    /// An agent is named twice.
    #[error("agent {0} is targeted twice")]
    AgentTwice(AgentId),
    /// A label is named twice.
    #[error("label {0:?} is targeted twice")]
    LabelTwice(Label),
    /// More terms than an order may have.
    #[error("an order may target at most {max} agents, labels and annotations together, not {found}")]
    TooMany {
        /// The bound.
        max: usize,
        /// What was found.
        found: usize,
    },
}

impl Targeting {
    /// The most terms that a targeting may have, unless the broker is configured for fewer.
    pub const TERMS_MAX: usize = 100;

    /// Checks and keeps the terms, in the order in which they were given.
    ///
    /// # Errors
    /// [`TargetingError`] when nothing is targeted, a term is given twice, or there are more than `terms_max`.
    pub fn new(
        agents: Vec<AgentId>,
        labels: Vec<Label>,
        annotations: Vec<(AnnotationKey, AnnotationValue)>,
        terms_max: usize,
    ) -> Result<Self, TargetingError> {
        let found = agents.len() + labels.len() + annotations.len();
        if found == 0 {
            return Err(TargetingError::Empty);
        }
        if found > terms_max {
            return Err(TargetingError::TooMany {
                max: terms_max,
                found,
            });
        }
        if let Some(agent) = first_repeated(&agents) {
            return Err(TargetingError::AgentTwice(*agent));
        }
        if let Some(label) = first_repeated(&labels) {
            return Err(TargetingError::LabelTwice(label.clone()));
        }
        Ok(Self {
            agents,
            labels,
            annotations,
        })
    }

    /// The agents that are named.
    #[must_use]
    pub fn agents(&self) -> &[AgentId] {
        &self.agents
    }

    /// The labels, any of which suffices.
    #[must_use]
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// The annotations, any of which suffices.
    #[must_use]
    pub fn annotations(&self) -> &[(AnnotationKey, AnnotationValue)] {
        &self.annotations
    }

    /// The routes that lead this order to its agents, each once.
    #[must_use]
    pub fn routes(&self) -> BTreeSet<Route> {
        let agents = self.agents.iter().map(|id| Route::agent(*id));
        let labels = self.labels.iter().map(Route::label);
        let annotations = self
            .annotations
            .iter()
            .map(|(key, value)| Route::annotation(key, value));
        agents.chain(labels).chain(annotations).collect()
    }
}

fn first_repeated<T: Ord>(items: &[T]) -> Option<&T> {
    let mut seen = BTreeSet::new();
    items.iter().find(|item| !seen.insert(*item))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn agent(n: u128) -> AgentId {
        AgentId::new(Uuid::from_u128(n))
    }

    #[test]
    fn each_term_becomes_a_route_of_its_kind() {
        let targeting = Targeting::new(
            vec![agent(1)],
            vec![Label::parse("prod").unwrap()],
            vec![(
                AnnotationKey::parse("zone").unwrap(),
                AnnotationValue::parse("eu").unwrap(),
            )],
            Targeting::TERMS_MAX,
        )
        .unwrap();
        let routes: Vec<_> = targeting.routes().iter().map(ToString::to_string).collect();
        assert_eq!(
            routes,
            [
                "agent:00000000-0000-0000-0000-000000000001",
                "annotation:zone=eu",
                "label:prod"
            ]
        );
    }

    #[test]
    fn nobody_and_somebody_twice_are_refused() {
        assert_eq!(
            Targeting::new(vec![], vec![], vec![], 9),
            Err(TargetingError::Empty)
        );
        assert_eq!(
            Targeting::new(vec![agent(1), agent(1)], vec![], vec![], 9),
            Err(TargetingError::AgentTwice(agent(1)))
        );
    }

    proptest! {
        #[test]
        fn different_annotations_never_share_a_route(
            a in ("[a=%3D25]{1,6}", "[a=%3D25]{1,6}"),
            b in ("[a=%3D25]{1,6}", "[a=%3D25]{1,6}"),
        ) {
            let route = |(key, value): &(String, String)| {
                Route::annotation(
                    &AnnotationKey::parse(key.clone()).unwrap(),
                    &AnnotationValue::parse(value.clone()).unwrap(),
                )
            };
            prop_assert_eq!(a == b, route(&a) == route(&b));
        }
    }
}
