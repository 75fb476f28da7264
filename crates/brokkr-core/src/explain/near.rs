//! Agents that nearly match: what they have, and what was asked for.

use std::collections::BTreeSet;

use super::AgentCause;
use super::facts::Term;
use crate::ids::AgentId;
use crate::routing::Targeting;

/// How many near agents are told.
const NEAR_MAX: usize = 5;
/// Terms that are farther apart than this have nothing to do with each other.
const DISTANCE_MAX: usize = 20;

/// What an order asks for, in words, the agents that it names left out.
pub(super) fn wanted(targeting: &Targeting) -> Vec<String> {
    let labels = targeting
        .labels()
        .iter()
        .map(|label| format!("the label {label}"));
    let annotations = targeting.annotations().iter();
    let annotations = annotations.map(|(key, value)| format!("the annotation {key}={value}"));
    labels.chain(annotations).collect()
}

/// The agents whose labels and annotations come nearest to what is asked for, the nearest first.
pub(super) fn nearest(targeting: &Targeting, terms: &[(AgentId, String, Term)]) -> Vec<AgentCause> {
    let mut near: Vec<_> = terms
        .iter()
        .filter_map(|(id, name, term)| {
            let (distance, asked) = nearest_target(targeting, term)?;
            Some((distance, name, id, format!("has {}, not {asked}", told(term))))
        })
        .collect();
    near.sort();
    let mut seen = BTreeSet::new();
    near.into_iter()
        .filter(|(_, _, id, _)| seen.insert(**id))
        .take(NEAR_MAX)
        .map(|(_, name, id, detail)| AgentCause {
            id: *id,
            name: name.clone(),
            detail,
            since: None,
        })
        .collect()
}

fn told(term: &Term) -> String {
    match term {
        Term::Label(label) => format!("the label {label}"),
        Term::Annotation(key, value) => format!("the annotation {key}={value}"),
    }
}

/// What is asked for that comes nearest to this term, and how near that is.
fn nearest_target(targeting: &Targeting, term: &Term) -> Option<(usize, String)> {
    let labels = targeting.labels().iter().map(|label| {
        let wanted = label.as_str();
        let distance = match term {
            Term::Label(found) => spelling(wanted, found.as_str()),
            // A label is asked for where an annotation says the same.
            Term::Annotation(key, value) => {
                (wanted == format!("{key}={value}") || wanted == value.as_str() || wanted == key.as_str())
                    .then_some(1)
            }
        };
        (distance, format!("the label {label}"))
    });
    let annotations = targeting.annotations().iter().map(|(key, value)| {
        let distance = match term {
            Term::Annotation(found_key, found_value) if found_key == key => {
                // Another value under the same key is near, however different it is.
                Some(spelling(value.as_str(), found_value.as_str()).unwrap_or(DISTANCE_MAX - 1))
            }
            Term::Annotation(found_key, found_value) if found_value == value => {
                spelling(key.as_str(), found_key.as_str())
            }
            Term::Annotation(..) => None,
            Term::Label(found) => {
                (found.as_str() == value.as_str() || found.as_str() == format!("{key}={value}")).then_some(1)
            }
        };
        (distance, format!("the annotation {key}={value}"))
    });
    labels
        .chain(annotations)
        .filter_map(|(distance, asked)| Some((distance?, asked)))
        .min()
}

/// How many letters two words are apart, if they may be meant to be the same.
fn spelling(wanted: &str, found: &str) -> Option<usize> {
    let (wanted, found) = (wanted.to_lowercase(), found.to_lowercase());
    let distance = strsim::damerau_levenshtein(&wanted, &found);
    let longest = wanted.chars().count().max(found.chars().count());
    if distance <= (longest / 3).max(1) && distance < longest {
        return Some(distance);
    }
    let (short, long) = if wanted.len() < found.len() {
        (wanted, found)
    } else {
        (found, wanted)
    };
    (short.chars().count() >= 3 && long.contains(&short)).then_some(distance.min(DISTANCE_MAX - 2))
}
