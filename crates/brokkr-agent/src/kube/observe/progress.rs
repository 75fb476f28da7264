//! How far the containers of a pod are.

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};

/// How far a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) stage: Stage,
    /// How often it has been started again.
    pub(super) restarts: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It has not started.
    Waiting,
    /// It runs.
    Running,
    /// It has ended, and may be started again or not.
    Paused,
    /// Its pod is gone, and its log with it.
    Gone,
}

/// How far each container is, without those that never ran in a pod that is over.
pub(super) fn progress_of(pod: &Pod) -> Vec<(String, Progress)> {
    let over = pod
        .status
        .as_ref()
        .is_some_and(|status| matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")));
    let each = statuses(pod).filter_map(|container| Some((container, stage(container, over)?)));
    each.map(|(container, stage)| {
        let restarts = container.restart_count;
        (container.name.clone(), Progress { stage, restarts })
    })
    .collect()
}

/// How often a container has been started again.
pub(super) fn restarts_of(pod: &Pod, container: &str) -> Option<i32> {
    let found = statuses(pod).find(|status| status.name == container)?;
    Some(found.restart_count)
}

fn statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.as_ref();
    let init = status.and_then(|status| status.init_container_statuses.as_ref());
    let main = status.and_then(|status| status.container_statuses.as_ref());
    init.into_iter().chain(main).flatten()
}

fn stage(container: &ContainerStatus, pod_over: bool) -> Option<Stage> {
    let state = container.state.as_ref()?;
    let last = container
        .last_state
        .as_ref()
        .and_then(|last| last.terminated.as_ref());
    let ran_before = container.restart_count > 0 || last.is_some_and(ran);
    match &state.terminated {
        _ if state.running.is_some() => Some(Stage::Running),
        Some(ended) if ran(ended) => Some(Stage::Paused),
        _ if ran_before => Some(Stage::Paused),
        Some(_) => None,
        None => (!pod_over).then_some(Stage::Waiting),
    }
}

/// A container that could not be started, or that the kubelet lost before (`ContainerStatusUnknown`), has no time of a start.
fn ran(ended: &ContainerStateTerminated) -> bool {
    ended.started_at.as_ref().is_some_and(|at| at.0.as_second() > 0)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn ended(started_at: &str) -> Value {
        json!({ "terminated": { "exitCode": 1, "startedAt": started_at } })
    }

    fn of(phase: &str, restarts: i32, state: Value, last: Value) -> Option<Progress> {
        let container = json!({
            "name": "app", "image": "", "imageID": "", "ready": false, "restartCount": restarts,
            "state": state, "lastState": last,
        });
        let pod = json!({ "status": { "phase": phase, "containerStatuses": [container] } });
        let pod: Pod = serde_json::from_value(pod).unwrap();
        progress_of(&pod).pop().map(|(_, progress)| progress)
    }

    #[rstest]
    #[case::not_started("Pending", 0, json!({"waiting": {}}), json!({}), Some(Stage::Waiting))]
    #[case::running("Running", 0, json!({"running": {}}), json!({}), Some(Stage::Running))]
    #[case::ended("Succeeded", 0, ended("2026-01-01T00:00:00Z"), json!({}), Some(Stage::Paused))]
    #[case::ended_beside_others("Running", 0, ended("2026-01-01T00:00:00Z"), json!({}), Some(Stage::Paused))]
    #[case::about_to_start_again("Running", 0, json!({"waiting": {"reason": "CrashLoopBackOff"}}), ended("2026-01-01T00:00:00Z"), Some(Stage::Paused))]
    #[case::running_again("Running", 1, json!({"running": {}}), ended("2026-01-01T00:00:00Z"), Some(Stage::Running))]
    #[case::never_started("Failed", 0, json!({"waiting": {}}), json!({}), None)]
    #[case::lost_before_it_started("Failed", 0, ended("1970-01-01T00:00:00Z"), json!({}), None)]
    fn a_container_is_as_far_as_its_status_says(
        #[case] phase: &str,
        #[case] restarts: i32,
        #[case] state: Value,
        #[case] last: Value,
        #[case] stage: Option<Stage>,
    ) {
        let expected = stage.map(|stage| Progress { stage, restarts });
        assert_eq!(of(phase, restarts, state, last), expected);
    }
}
