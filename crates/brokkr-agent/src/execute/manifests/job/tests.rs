use ::kube::api::ApiResource;
use rstest::rstest;
use uuid::Uuid;

use super::*;
use crate::attempt::AttemptId;
use crate::execute::manifests::document::Order;
use crate::kube::labels;

const TEMPLATE: &str = "  template: {spec: {containers: []}}\n";

fn owner() -> Owner {
    Owner {
        id: AttemptId {
            order: Uuid::nil(),
            attempt: 3,
        },
        agent: Uuid::max(),
        document: 1,
    }
}

fn prepared(yaml: &str, deadline_seconds: Option<u64>) -> Result<(Value, Vec<String>), String> {
    let document = Order::parse(yaml).unwrap().documents.remove(0);
    let mut object = document.object.clone();
    let notes =
        prepare(&document, &mut object, &owner(), deadline_seconds).map_err(|error| error.to_string())?;
    Ok((object, notes))
}

fn job(spec: &str) -> String {
    format!("apiVersion: batch/v1\nkind: Job\nmetadata: {{name: migrate}}\nspec:\n{spec}")
}

#[test]
fn job_and_pods_carry_the_labels_of_the_attempt_beside_their_own() {
    let yaml = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate, labels: {team: shop}}\nspec:\n  template:\n    metadata: {labels: {app: migrate}}\n";
    let (object, notes) = prepared(yaml, None).unwrap();
    for (metadata, own) in [
        (&object["metadata"], ("team", "shop")),
        (&object["spec"]["template"]["metadata"], ("app", "migrate")),
    ] {
        let found = &metadata["labels"];
        assert_eq!(found[own.0], own.1);
        assert_eq!(found[labels::MANAGED_BY], labels::BROKKR);
        assert_eq!(found[labels::WORK_ORDER], Uuid::nil().to_string());
        assert_eq!(found[labels::ATTEMPT], "3");
        assert_eq!(found[labels::AGENT], Uuid::max().to_string());
        assert_eq!(found[labels::DOCUMENT], "1");
    }
    assert_eq!(notes, [""; 0]);
}

#[test]
fn what_a_controller_wrote_into_a_copied_job_is_left_out() {
    let yaml = "apiVersion: batch/v1
kind: Job
metadata:
  name: migrate
  labels: {controller-uid: x, job-name: a, batch.kubernetes.io/job-name: a}
spec:
  selector: {matchLabels: {batch.kubernetes.io/controller-uid: x}}
  template:
    metadata: {labels: {batch.kubernetes.io/controller-uid: x, app: migrate}}
status: {succeeded: 1}
";
    let (object, notes) = prepared(yaml, None).unwrap();
    assert_eq!(object.get("status"), None);
    assert_eq!(object["spec"].get("selector"), None);
    assert_eq!(object["metadata"]["labels"].as_object().unwrap().len(), 5);
    assert_eq!(
        object["spec"]["template"]["metadata"]["labels"]
            .as_object()
            .unwrap()
            .len(),
        6
    );
    assert_eq!(notes, ["spec.selector was left out, since the cluster makes it"]);
}

#[rstest]
#[case::none("", None, None, None)]
#[case::only_the_order("", Some(600), Some(600), None)]
#[case::only_the_job("  activeDeadlineSeconds: 60\n", None, Some(60), None)]
#[case::an_earlier_one("  activeDeadlineSeconds: 60\n", Some(600), Some(60), None)]
#[case::a_later_one(
    "  activeDeadlineSeconds: 900\n",
    Some(600),
    Some(600),
    Some("lowered from 900 to 600")
)]
#[case::an_empty_one("  activeDeadlineSeconds: null\n", Some(600), Some(600), None)]
fn a_job_runs_no_longer_than_its_order_may(
    #[case] spec: &str,
    #[case] order: Option<u64>,
    #[case] deadline: Option<u64>,
    #[case] note: Option<&str>,
) {
    let (object, notes) = prepared(&job(&format!("{spec}{TEMPLATE}")), order).unwrap();
    assert_eq!(object["spec"]["activeDeadlineSeconds"].as_u64(), deadline);
    assert_eq!(notes.len(), usize::from(note.is_some()), "{notes:?}");
    assert!(note.is_none_or(|note| notes[0].contains(note)), "{notes:?}");
}

#[rstest]
#[case::none("", None, None)]
#[case::short("  ttlSecondsAfterFinished: 0\n", Some(3600), Some("raised from 0 to 3600"))]
#[case::just_long_enough("  ttlSecondsAfterFinished: 3600\n", Some(3600), None)]
#[case::long("  ttlSecondsAfterFinished: 86400\n", Some(86400), None)]
fn a_job_stays_until_its_evidence_is_stored(
    #[case] spec: &str,
    #[case] ttl: Option<u64>,
    #[case] note: Option<&str>,
) {
    let (object, notes) = prepared(&job(&format!("{spec}{TEMPLATE}")), None).unwrap();
    assert_eq!(object["spec"]["ttlSecondsAfterFinished"].as_u64(), ttl);
    assert_eq!(notes.len(), usize::from(note.is_some()), "{notes:?}");
    assert!(note.is_none_or(|note| notes[0].contains(note)), "{notes:?}");
}

#[rstest]
#[case::suspended(&job("  suspend: true\n"), "line 5: spec.suspend is true")]
#[case::own_selector(&job("  manualSelector: true\n"), "line 5: spec.manualSelector is true")]
#[case::owned(
    "apiVersion: batch/v1\nkind: Job\nmetadata: {name: a, ownerReferences: [{uid: x}]}\n",
    "line 3: metadata.ownerReferences would have the Job deleted"
)]
#[case::upper_case(
    "apiVersion: batch/v1\nkind: Job\nmetadata: {name: Migrate}\n",
    "metadata.name is no name for a Job"
)]
#[case::hyphen(
    "apiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate-}\n",
    "metadata.name is no name for a Job"
)]
#[case::prefix(
    "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: a_}\n",
    "metadata.generateName is no name"
)]
#[case::only_a_hyphen(
    "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: '-'}\n",
    "metadata.generateName is no name"
)]
#[case::no_spec(
    "apiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\n",
    "line 1: spec is missing"
)]
#[case::odd_spec(
    "apiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\nspec: 5\n",
    "line 4: spec is not a mapping"
)]
#[case::no_template(&job("  parallelism: 1\n"), "spec.template is not the description of a pod")]
#[case::odd_deadline(&job(&format!("  activeDeadlineSeconds: 1h\n{TEMPLATE}")), "line 5: spec.activeDeadlineSeconds is not a number")]
#[case::odd_ttl(&job(&format!("  ttlSecondsAfterFinished: -1\n{TEMPLATE}")), "line 5: spec.ttlSecondsAfterFinished is not a number")]
#[case::odd_labels(
    "apiVersion: batch/v1\nkind: Job\nmetadata: {name: a, labels: [b]}\nspec: {template: {}}\n",
    "line 3: metadata has labels that are not a mapping"
)]
fn a_job_whose_outcome_could_not_be_told_is_refused(#[case] yaml: &str, #[case] why: &str) {
    let message = prepared(yaml, Some(600)).unwrap_err();
    assert!(message.contains(why), "{message:?} does not say {why:?}");
}

#[test]
fn a_prefix_may_end_with_what_joins_it() {
    let yaml = "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: migrate-}\nspec: {template: {}}\n";
    assert!(prepared(yaml, None).is_ok());
}

#[test]
fn only_jobs_of_their_group_are_jobs() {
    let kind = |group: &str, kind: &str| Kind {
        resource: ApiResource {
            group: group.to_owned(),
            version: "v1".to_owned(),
            api_version: format!("{group}/v1"),
            kind: kind.to_owned(),
            plural: "jobs".to_owned(),
        },
        namespaced: true,
    };
    assert!(is_job(&kind("batch", "Job")));
    assert!(!is_job(&kind("batch", "CronJob")));
    assert!(!is_job(&kind("jobs.example.com", "Job")));
}
