use serde_json::json;

use super::*;

fn evidence(pods: Vec<Value>) -> Evidence {
    let of = |pod| PodEvidence::of(&serde_json::from_value(pod).unwrap());
    Evidence::of(pods.into_iter().map(of).collect())
}

fn pod(name: &str, status: Value) -> Value {
    json!({ "metadata": { "name": name }, "spec": { "containers": [], "nodeName": "node-1" }, "status": status })
}

fn ended(name: &str, code: i32, reason: &str, message: &str) -> Value {
    json!({
        "name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0,
        "state": { "terminated": {
            "exitCode": code, "reason": reason, "message": message, "finishedAt": "2026-01-01T00:00:05Z",
        } },
    })
}

#[test]
fn a_container_that_exits_with_an_error_is_the_works_own_failure() {
    let evidence = evidence(vec![pod(
        "work-x",
        json!({ "phase": "Failed", "containerStatuses": [ended("app", 3, "Error", "")] }),
    )]);
    assert_eq!(evidence.class(), FailureClass::Work);
    assert_eq!(evidence.exit_code(), Some(3));
    assert_eq!(
        evidence.headline().as_deref(),
        Some("container app of pod work-x exited with 3 (Error)")
    );
}

#[test]
fn a_container_that_used_too_much_memory_is_the_works_own_failure() {
    let evidence = evidence(vec![pod(
        "work-x",
        json!({ "phase": "Failed", "containerStatuses": [ended("app", 137, "OOMKilled", "")] }),
    )]);
    assert_eq!(evidence.class(), FailureClass::Work);
    assert!(evidence.headline().unwrap().contains("137 (OOMKilled)"));
}

#[test]
fn a_pod_that_was_taken_away_is_no_fault_of_the_work() {
    for status in [
        json!({ "phase": "Failed", "reason": "Evicted" }),
        json!({ "phase": "Failed", "containerStatuses": [ended("app", 137, "Error", "")],
            "conditions": [{ "type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler" }] }),
    ] {
        let evidence = evidence(vec![pod("work-x", status)]);
        assert_eq!(evidence.class(), FailureClass::Infrastructure, "{evidence:?}");
        assert!(evidence.headline().unwrap().contains("taken away"));
    }
}

#[test]
fn one_failure_of_the_work_itself_outweighs_an_eviction() {
    let evidence = evidence(vec![
        pod("work-a", json!({ "phase": "Failed", "reason": "Evicted" })),
        pod(
            "work-b",
            json!({ "phase": "Failed", "containerStatuses": [ended("app", 1, "Error", "")] }),
        ),
    ]);
    assert_eq!(evidence.class(), FailureClass::Work);
    assert!(evidence.headline().unwrap().contains("work-b"));
}

#[test]
fn a_termination_message_that_is_a_json_object_is_the_result() {
    let of = |message: &str| {
        evidence(vec![pod(
            "work-x",
            json!({ "phase": "Succeeded", "containerStatuses": [ended("app", 0, "Completed", message)] }),
        )])
        .result()
    };
    assert_eq!(of("{\"version\": 43}\n"), Some(json!({ "version": 43 })));
    assert_eq!(of("43"), None);
    assert_eq!(of("done"), None);
}

#[test]
fn the_first_failure_of_a_pod_is_the_one_that_counts() {
    let at = |mut container: Value, second: u32| {
        container["state"]["terminated"]["finishedAt"] = json!(format!("2026-01-01T00:00:{second:02}Z"));
        container
    };
    let evidence = evidence(vec![pod(
        "work-x",
        json!({
            "phase": "Failed",
            "initContainerStatuses": [at(ended("proxy", 137, "Error", ""), 1)],
            "containerStatuses": [
                at(ended("beside", 143, "Error", ""), 9),
                at(ended("app", 3, "Error", ""), 5),
            ],
        }),
    )]);
    assert_eq!(evidence.exit_code(), Some(3));
    assert!(
        evidence
            .headline()
            .unwrap()
            .starts_with("container app of pod work-x")
    );
}

#[test]
fn an_init_container_that_fails_is_named() {
    let waiting = json!({
        "name": "app", "image": "", "imageID": "", "ready": false, "restartCount": 0,
        "state": { "waiting": { "reason": "PodInitializing" } },
    });
    let evidence = evidence(vec![pod(
        "work-x",
        json!({
            "phase": "Failed",
            "initContainerStatuses": [ended("prepare", 7, "Error", "")],
            "containerStatuses": [waiting],
        }),
    )]);
    let headline = evidence.headline().unwrap();
    assert_eq!(headline, "container prepare of pod work-x exited with 7 (Error)");
    assert_eq!(
        evidence.lines()[1..],
        [
            "  init container prepare exited with 7 (Error)",
            "  container app waits (PodInitializing)"
        ]
    );
}

#[test]
fn work_that_did_not_fail_has_the_exit_code_zero_once_it_has_ended() {
    let done = pod(
        "work-x",
        json!({ "phase": "Succeeded", "containerStatuses": [ended("app", 0, "Completed", "")] }),
    );
    assert_eq!(evidence(vec![done]).exit_code(), Some(0));
    let begun = pod("work-x", json!({ "phase": "Pending" }));
    assert_eq!(evidence(vec![begun]).exit_code(), None);
    assert_eq!(Evidence::default().headline(), None);
}

#[test]
fn a_container_that_was_started_again_shows_how_it_ended_before() {
    let mut container = ended("app", 1, "Error", "");
    container["lastState"] = container["state"].take();
    container["state"] = json!({ "waiting": { "reason": "CrashLoopBackOff" } });
    container["restartCount"] = json!(4);
    let evidence = evidence(vec![pod(
        "work-x",
        json!({ "phase": "Running", "containerStatuses": [container] }),
    )]);
    assert_eq!(
        evidence.lines()[1],
        "  container app exited with 1 (Error), restarted 4 times"
    );
    assert_eq!(evidence.class(), FailureClass::Work);
}

#[test]
fn a_node_that_shuts_down_or_refuses_a_pod_is_no_fault_of_the_work() {
    for reason in [
        "Terminated",
        "NodeAffinity",
        "OutOfcpu",
        "UnexpectedAdmissionError",
    ] {
        let evidence = evidence(vec![pod(
            "work-x",
            json!({ "phase": "Failed", "reason": reason }),
        )]);
        assert_eq!(evidence.class(), FailureClass::Infrastructure, "{reason}");
    }
    let deadline = json!({ "phase": "Failed", "reason": "DeadlineExceeded" });
    assert_eq!(
        evidence(vec![pod("work-x", deadline)]).class(),
        FailureClass::Work
    );
}

#[test]
fn of_very_many_pods_those_that_failed_are_told_of() {
    let mut pods: Vec<_> = (0..PODS_MAX + 10)
        .map(|index| {
            let container = ended("app", 0, "Completed", "");
            let status = json!({ "phase": "Succeeded", "containerStatuses": [container] });
            pod(&format!("work-{index:03}"), status)
        })
        .collect();
    pods.push(pod("work-x", json!({ "phase": "Failed", "reason": "Evicted" })));
    let evidence = evidence(pods);
    assert_eq!(evidence.pods.len(), PODS_MAX);
    assert_eq!(evidence.pods.last().unwrap().name, "work-x");
}

#[test]
fn the_newest_result_counts() {
    let mut first = ended("app", 1, "Error", r#"{"try":1}"#);
    first["state"]["terminated"]["finishedAt"] = json!("2026-01-01T00:00:01Z");
    let second = ended("app", 0, "Completed", r#"{"try":2}"#);
    let evidence = evidence(vec![
        pod(
            "work-b",
            json!({ "phase": "Failed", "containerStatuses": [first] }),
        ),
        pod(
            "work-a",
            json!({ "phase": "Succeeded", "containerStatuses": [second] }),
        ),
    ]);
    assert_eq!(evidence.result(), Some(json!({ "try": 2 })));
}

#[test]
fn an_event_is_told_with_how_often_it_happened() {
    let event = json!({
        "metadata": {}, "involvedObject": {}, "reason": "BackOff", "message": "Back-off\nrestarting", "count": 3,
        "lastTimestamp": "2026-01-01T00:00:05Z",
    });
    let (at, line) = event_line(&serde_json::from_value(event).unwrap());
    assert_eq!(line, "BackOff (3 times): Back-off restarting");
    assert_eq!(at.unwrap().timestamp(), 1_767_225_605);
}

#[test]
fn the_lines_name_pods_containers_and_messages() {
    let evidence = evidence(vec![pod(
        "work-x",
        json!({ "phase": "Failed", "containerStatuses": [ended("app", 3, "Error", "no such table\n")] }),
    )]);
    assert_eq!(
        evidence.lines(),
        [
            "pod work-x: Failed, on node node-1",
            "  container app exited with 3 (Error): no such table"
        ]
    );
}
