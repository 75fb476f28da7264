//! Orders for which no agent matches.

use brokkr_core::explain::{Fleet, Term, preview};
use brokkr_core::names::{AnnotationKey, AnnotationValue, Label};
use brokkr_core::routing::Targeting;

use super::{NOW, agent_id, ago, codes, targets, work_type};

fn label(text: &str) -> Term {
    Term::Label(Label::parse(text).expect("a label"))
}

fn annotation(key: &str, value: &str) -> Term {
    let key = AnnotationKey::parse(key).expect("a key");
    Term::Annotation(key, AnnotationValue::parse(value).expect("a value"))
}

/// What the nearest agents have, of agents with these terms.
fn near(targeting: &Targeting, terms: Vec<Term>) -> Vec<String> {
    let terms = terms.into_iter().enumerate();
    let fleet = Fleet {
        agents_total: 3,
        terms: terms
            .map(|(number, term)| (agent_id(number as u128), format!("runner-{number}/eu"), term))
            .collect(),
        ..Fleet::default()
    };
    let reasons = preview(targeting, &work_type("command"), &fleet, NOW);
    assert_eq!(codes(&reasons), ["no_matching_agent"]);
    let agents = reasons.into_iter().flat_map(|reason| reason.agents);
    agents.map(|agent| agent.detail).collect()
}

#[test]
fn the_nearest_agents_are_told_with_what_they_have_instead() {
    let gpu = targets(&["gpu"], &[]);
    assert_eq!(
        near(&gpu, vec![label("prod"), label("gpu-a100"), label("GPU")]),
        [
            "has the label GPU, not the label gpu",
            "has the label gpu-a100, not the label gpu"
        ]
    );
    let region = targets(&[], &[("region", "eu-west")]);
    assert_eq!(
        near(
            &region,
            vec![
                annotation("region", "mars"),
                annotation("zone", "a"),
                annotation("region", "eu-wst"),
                annotation("regoin", "eu-west"),
                label("eu-west"),
            ]
        ),
        [
            "has the annotation region=eu-wst, not the annotation region=eu-west",
            "has the annotation regoin=eu-west, not the annotation region=eu-west",
            "has the label eu-west, not the annotation region=eu-west",
            "has the annotation region=mars, not the annotation region=eu-west",
        ]
    );
    let as_label = targets(&["region=eu"], &[]);
    assert_eq!(
        near(&as_label, vec![annotation("region", "eu")]),
        ["has the annotation region=eu, not the label region=eu"]
    );
    assert!(near(&gpu, vec![label("prod"), annotation("zone", "a")]).is_empty());
}

#[test]
fn no_agents_and_deleted_agents_are_told_as_such() {
    let gpu = targets(&["gpu"], &[]);
    let none = preview(&gpu, &work_type("command"), &Fleet::default(), NOW);
    assert_eq!(codes(&none), ["no_agents"]);

    let named = Targeting::new(vec![agent_id(1)], vec![], vec![], 9).expect("targets");
    let fleet = Fleet {
        agents_total: 3,
        deleted: vec![(agent_id(1), "runner-1/eu".to_owned(), ago(9))],
        ..Fleet::default()
    };
    let reasons = preview(&named, &work_type("command"), &fleet, NOW);
    assert_eq!(codes(&reasons), ["agent_deleted"]);
    assert_eq!(reasons[0].since, Some(ago(9)));
}
