use ::kube::api::ApiResource;
use rstest::rstest;
use serde_json::json;

use super::*;

fn kind(api_version: &str, kind: &str) -> Kind {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    Kind {
        resource: ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            plural: String::new(),
        },
        namespaced: true,
    }
}

fn object(value: Value) -> DynamicObject {
    let mut whole = json!({ "metadata": { "name": "one", "generation": 2 } });
    for (key, value) in value.as_object().unwrap() {
        whole[key] = value.clone();
    }
    serde_json::from_value(whole).unwrap()
}

fn readiness_of(api_version: &str, name: &str, value: Value) -> Readiness {
    readiness(&kind(api_version, name), &object(value))
}

/// In a word.
fn word(readiness: &Readiness) -> &'static str {
    match readiness {
        Readiness::Ready => "ready",
        Readiness::NotReady { .. } => "not ready",
        Readiness::Failed { .. } => "failed",
    }
}

fn is(kind: &str, status: &str) -> Value {
    json!({ "type": kind, "status": status, "reason": "Because", "message": "as it says" })
}

#[rstest]
#[case::without_conditions(json!([]), None)]
#[case::while_pods_run_on(json!([is("SuccessCriteriaMet", "True")]), None)]
#[case::while_pods_are_ended(json!([is("FailureTarget", "True")]), None)]
#[case::suspended(json!([is("Suspended", "True"), is("Failed", "False")]), None)]
#[case::complete(json!([is("SuccessCriteriaMet", "True"), is("Complete", "True")]), Some(JobEnd::Complete))]
#[case::failed(
    json!([is("FailureTarget", "True"), is("Failed", "True")]),
    Some(JobEnd::Failed { reason: "Because".to_owned(), message: "as it says".to_owned() })
)]
fn a_job_has_ended_only_by_its_terminal_conditions(
    #[case] conditions: Value,
    #[case] expected: Option<JobEnd>,
) {
    let job = object(json!({ "status": { "succeeded": 1, "conditions": conditions } }));
    assert_eq!(job_end(&job), expected);
}

#[rstest]
#[case::no_status(json!({}), "not ready")]
#[case::old_status(json!({"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}), "not ready")]
#[case::being_updated(json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 1, "availableReplicas": 2}), "not ready")]
#[case::old_ones_left(json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 2, "availableReplicas": 2}), "not ready")]
#[case::not_available(json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1}), "not ready")]
#[case::not_called_available(
    json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "conditions": [is("Available", "False")]}),
    "not ready"
)]
#[case::rolled_out(
    json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "conditions": [is("Available", "True")]}),
    "ready"
)]
#[case::too_slow(
    json!({"observedGeneration": 2, "conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "m"}]}),
    "failed"
)]
fn a_deployment_is_ready_when_it_is_rolled_out(#[case] status: Value, #[case] expected: &str) {
    let value = json!({ "spec": { "replicas": 2 }, "status": status });
    let readiness = readiness_of("apps/v1", "Deployment", value);
    assert_eq!(word(&readiness), expected, "{readiness:?}");
}

#[rstest]
#[case::unseen(json!({}), json!({"readyReplicas": 2}), "not ready")]
#[case::not_all_ready(json!({}), json!({"observedGeneration": 2, "replicas": 2, "readyReplicas": 1}), "not ready")]
#[case::scaling_down(json!({}), json!({"observedGeneration": 2, "replicas": 3, "readyReplicas": 3}), "not ready")]
#[case::being_updated(
    json!({}),
    json!({"observedGeneration": 2, "replicas": 2, "readyReplicas": 2, "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b"}),
    "not ready"
)]
#[case::updated_as_far_as_wanted(
    json!({"rollingUpdate": {"partition": 1}}),
    json!({"observedGeneration": 2, "replicas": 2, "readyReplicas": 2, "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b"}),
    "ready"
)]
#[case::updated_by_hand(
    json!({"type": "OnDelete"}),
    json!({"observedGeneration": 2, "replicas": 2, "readyReplicas": 2, "updatedReplicas": 0, "currentRevision": "a", "updateRevision": "b"}),
    "ready"
)]
#[case::rolled_out(
    json!({}),
    json!({"observedGeneration": 2, "replicas": 2, "readyReplicas": 2, "updatedReplicas": 2, "currentRevision": "b", "updateRevision": "b"}),
    "ready"
)]
fn a_stateful_set_is_ready_when_all_are_ready_and_updated(
    #[case] strategy: Value,
    #[case] status: Value,
    #[case] expected: &str,
) {
    let value = json!({ "spec": { "replicas": 2, "updateStrategy": strategy }, "status": status });
    let readiness = readiness_of("apps/v1", "StatefulSet", value);
    assert_eq!(word(&readiness), expected, "{readiness:?}");
}

#[rstest]
#[case::unseen(json!({}), "not ready")]
#[case::being_updated(json!({"observedGeneration": 2, "desiredNumberScheduled": 2, "updatedNumberScheduled": 1, "numberAvailable": 2, "numberReady": 2}), "not ready")]
#[case::not_available(json!({"observedGeneration": 2, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 1, "numberReady": 2}), "not ready")]
#[case::everywhere(json!({"observedGeneration": 2, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2, "numberReady": 2}), "ready")]
#[case::no_node_wants_it(json!({"observedGeneration": 2, "desiredNumberScheduled": 0}), "ready")]
fn a_daemon_set_is_ready_when_it_runs_on_every_node(#[case] status: Value, #[case] expected: &str) {
    let readiness = readiness_of("apps/v1", "DaemonSet", json!({ "status": status }));
    assert_eq!(word(&readiness), expected, "{readiness:?}");
}

#[rstest]
#[case::too_few(json!({"replicas": 1, "availableReplicas": 1}), "not ready")]
#[case::too_many(json!({"replicas": 3, "availableReplicas": 3}), "not ready")]
#[case::failing(json!({"replicas": 2, "availableReplicas": 2, "conditions": [is("ReplicaFailure", "True")]}), "not ready")]
#[case::as_wanted(json!({"replicas": 2, "availableReplicas": 2}), "ready")]
fn a_replica_set_is_ready_when_all_are_available(#[case] status: Value, #[case] expected: &str) {
    let value = json!({ "spec": { "replicas": 2 }, "status": status });
    let readiness = readiness_of("apps/v1", "ReplicaSet", value);
    assert_eq!(word(&readiness), expected, "{readiness:?}");
}

#[rstest]
#[case::pod_pending("Pod", json!({"phase": "Pending"}), "not ready")]
#[case::pod_starting("Pod", json!({"phase": "Running", "conditions": [is("Ready", "False")]}), "not ready")]
#[case::pod_running("Pod", json!({"phase": "Running", "conditions": [is("Ready", "True")]}), "ready")]
#[case::pod_done("Pod", json!({"phase": "Succeeded", "conditions": [is("Ready", "False")]}), "ready")]
#[case::pod_failed("Pod", json!({"phase": "Failed"}), "failed")]
#[case::claim_pending("PersistentVolumeClaim", json!({"phase": "Pending"}), "not ready")]
#[case::claim_bound("PersistentVolumeClaim", json!({"phase": "Bound"}), "ready")]
#[case::claim_lost("PersistentVolumeClaim", json!({"phase": "Lost"}), "failed")]
#[case::just_there("ConfigMap", json!({}), "ready")]
fn an_object_of_the_core_is_ready_by_its_phase(
    #[case] kind: &str,
    #[case] status: Value,
    #[case] expected: &str,
) {
    let readiness = readiness_of("v1", kind, json!({ "status": status }));
    assert_eq!(word(&readiness), expected, "{readiness:?}");
}

#[rstest]
#[case::new(json!([]), "not ready")]
#[case::established(json!([is("NamesAccepted", "True"), is("Established", "True")]), "ready")]
#[case::names_taken(json!([is("NamesAccepted", "False"), is("Established", "False")]), "failed")]
fn a_definition_is_ready_when_it_is_established(#[case] conditions: Value, #[case] expected: &str) {
    let value = json!({ "status": { "conditions": conditions } });
    let readiness = readiness_of("apiextensions.k8s.io/v1", "CustomResourceDefinition", value);
    assert_eq!(word(&readiness), expected, "{readiness:?}");
}

#[rstest]
#[case::without_a_status(json!({}), "ready")]
#[case::ready(json!({"observedGeneration": 2, "conditions": [is("Ready", "True")]}), "ready")]
#[case::not_ready(json!({"observedGeneration": 2, "conditions": [is("Ready", "Unknown")]}), "not ready")]
#[case::old_status(json!({"observedGeneration": 1, "conditions": [is("Ready", "True")]}), "not ready")]
#[case::reconciling(json!({"conditions": [is("Reconciling", "True"), is("Ready", "True")]}), "not ready")]
#[case::stalled(json!({"conditions": [is("Stalled", "True"), is("Reconciling", "True")]}), "failed")]
fn an_object_of_another_kind_is_ready_by_the_usual_conditions(#[case] status: Value, #[case] expected: &str) {
    let readiness = readiness_of("shop.test/v1", "Till", json!({ "status": status }));
    assert_eq!(word(&readiness), expected, "{readiness:?}");
}

#[test]
fn nothing_that_is_being_deleted_is_ready() {
    let value = json!({ "metadata": { "name": "one", "deletionTimestamp": "2026-01-01T00:00:00Z" } });
    assert_eq!(word(&readiness_of("v1", "ConfigMap", value)), "not ready");
}

#[test]
fn a_job_is_ready_when_it_is_complete() {
    let of = |conditions: Value| {
        let value = json!({ "status": { "conditions": conditions } });
        word(&readiness_of("batch/v1", "Job", value))
    };
    assert_eq!(of(json!([])), "not ready");
    assert_eq!(of(json!([is("Complete", "True")])), "ready");
    assert_eq!(of(json!([is("Failed", "True")])), "failed");
}

#[test]
fn a_condition_is_met_by_its_status_alone() {
    let till = object(json!({ "status": { "conditions": [is("Open", "False"), is("Clean", "True")] } }));
    assert!(condition(&till, "Clean", "True"));
    assert!(condition(&till, "Open", "False"));
    assert!(!condition(&till, "Open", "True"));
    assert!(!condition(&till, "Absent", "False"));
}

#[test]
fn only_kinds_with_a_known_end_are_waited_for() {
    for (api_version, name) in [
        ("v1", "Pod"),
        ("apps/v1", "Deployment"),
        ("batch/v1", "Job"),
        ("v1", "PersistentVolumeClaim"),
    ] {
        assert!(has_an_end(&kind(api_version, name)), "{name}");
    }
    for (api_version, name) in [
        ("v1", "ConfigMap"),
        ("batch/v1", "CronJob"),
        ("shop.test/v1", "Deployment"),
    ] {
        assert!(!has_an_end(&kind(api_version, name)), "{name}");
    }
}
