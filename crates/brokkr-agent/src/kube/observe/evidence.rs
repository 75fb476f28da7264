//! What the pods of an attempt leave behind, and what it says about how the work ended.

use brokkr_api::FailureClass;
use chrono::{DateTime, Utc};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};
use serde::Serialize;
use serde_json::Value;

/// Reasons of a failed pod that its node or the cluster is the cause of (kubelet `eviction`, `nodeshutdown`, `preemption`, `lifecycle`).
const DISRUPTIONS: [&str; 12] = [
    "Evicted",
    "NodeLost",
    "NodeShutdown",
    "Shutdown",
    "Terminated",
    "Preempting",
    "NodeAffinity",
    "OutOfcpu",
    "OutOfmemory",
    "OutOfpods",
    "TopologyAffinityError",
    "UnexpectedAdmissionError",
];
/// How many pods are told of.
const PODS_MAX: usize = 50;
/// The condition that says so since 1.26 ("Pod disruption conditions").
const DISRUPTION_TARGET: &str = "DisruptionTarget";

/// Everything that is known of the pods of an attempt.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Evidence {
    /// By name.
    pub(crate) pods: Vec<PodEvidence>,
}

/// One pod, as it was seen last.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct PodEvidence {
    pub(crate) name: String,
    pub(crate) phase: String,
    pub(crate) reason: Option<String>,
    pub(crate) node: Option<String>,
    /// Why its node or the cluster ended it.
    pub(crate) disruption: Option<String>,
    pub(crate) containers: Vec<ContainerEvidence>,
    /// The newest last.
    pub(crate) events: Vec<String>,
}

/// One container, as it was seen last.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ContainerEvidence {
    pub(crate) name: String,
    pub(crate) init: bool,
    pub(crate) exit_code: Option<i64>,
    pub(crate) signal: Option<i64>,
    /// Why it waits or has ended.
    pub(crate) reason: Option<String>,
    /// What it left in its termination message, or why it waits.
    pub(crate) message: Option<String>,
    pub(crate) started_at: Option<String>,
    pub(crate) finished_at: Option<String>,
    pub(crate) restarts: i64,
}

impl PodEvidence {
    /// What the pod's status says.
    pub(crate) fn of(pod: &Pod) -> Self {
        let status = pod.status.clone().unwrap_or_default();
        Self {
            name: pod.metadata.name.clone().unwrap_or_default(),
            phase: status.phase.clone().unwrap_or_else(|| "Unknown".to_owned()),
            reason: status.reason.clone(),
            node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
            disruption: disruption(&status),
            containers: containers(&status),
            events: Vec::new(),
        }
    }

    fn is_failure(&self) -> bool {
        self.phase == "Failed" || self.disruption.is_some() || self.failing().next().is_some()
    }

    /// When the last of its failures happened.
    fn failed_at(&self) -> Option<&str> {
        let ends = self
            .failing()
            .filter_map(|container| container.finished_at.as_deref());
        ends.max()
    }

    fn failing(&self) -> impl Iterator<Item = &ContainerEvidence> {
        self.containers
            .iter()
            .filter(|container| container.exit_code.is_some_and(|code| code != 0))
    }
}

fn disruption(status: &PodStatus) -> Option<String> {
    let target = status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == DISRUPTION_TARGET && condition.status == "True");
    let by_condition = target.map(|target| {
        target
            .reason
            .clone()
            .unwrap_or_else(|| DISRUPTION_TARGET.to_owned())
    });
    by_condition.or_else(|| {
        status
            .reason
            .clone()
            .filter(|reason| DISRUPTIONS.contains(&reason.as_str()))
    })
}

fn containers(status: &PodStatus) -> Vec<ContainerEvidence> {
    let init = status.init_container_statuses.iter().flatten();
    let main = status.container_statuses.iter().flatten();
    init.map(|container| ContainerEvidence::of(container, true))
        .chain(main.map(|container| ContainerEvidence::of(container, false)))
        .collect()
}

impl ContainerEvidence {
    fn of(status: &ContainerStatus, init: bool) -> Self {
        let mut evidence = Self {
            name: status.name.clone(),
            init,
            exit_code: None,
            signal: None,
            reason: None,
            message: None,
            started_at: None,
            finished_at: None,
            restarts: status.restart_count.into(),
        };
        let state = status.state.clone().unwrap_or_default();
        let last = status.last_state.clone().unwrap_or_default();
        // A container that is restarted, or is about to be, has ended before.
        if let Some(ended) = state.terminated.or(last.terminated) {
            evidence.exit_code = Some(ended.exit_code.into());
            evidence.signal = ended.signal.map(Into::into);
            evidence.reason = ended.reason;
            evidence.message = ended.message;
            evidence.started_at = ended.started_at.map(|at| at.0.to_string());
            evidence.finished_at = ended.finished_at.map(|at| at.0.to_string());
        } else if let Some(waiting) = state.waiting {
            evidence.reason = waiting.reason;
            evidence.message = waiting.message;
        }
        evidence
    }

    fn words(&self) -> String {
        match (self.exit_code, &self.reason) {
            (Some(code), Some(reason)) => format!("exited with {code} ({reason})"),
            (Some(code), None) => format!("exited with {code}"),
            (None, Some(reason)) => format!("waits ({reason})"),
            (None, None) => "runs".to_owned(),
        }
    }
}

impl Evidence {
    /// Of so many pods at most [`PODS_MAX`]: those that failed before the others.
    pub(crate) fn of(mut pods: Vec<PodEvidence>) -> Self {
        pods.sort_by_key(|pod| (!pod.is_failure(), pod.name.clone()));
        pods.truncate(PODS_MAX);
        pods.sort_by(|one, other| one.name.cmp(&other.name));
        Self { pods }
    }

    /// The class of a failure that these pods are the cause of: the work's own, unless no container failed by itself and the
    /// cluster took a pod away.
    pub(crate) fn class(&self) -> FailureClass {
        let disrupted = |pod: &&PodEvidence| pod.disruption.is_some();
        let failed_itself = self
            .pods
            .iter()
            .filter(|pod| !disrupted(pod))
            .any(|pod| pod.failing().next().is_some());
        match self.pods.iter().any(|pod| disrupted(&pod)) && !failed_itself {
            true => FailureClass::Infrastructure,
            false => FailureClass::Work,
        }
    }

    /// The container that made the pod fail that failed last, if there is one by itself, else one that was taken away.
    fn culprit(&self) -> Option<(&PodEvidence, &ContainerEvidence)> {
        let failing = self.pods.iter().filter(|pod| pod.failing().next().is_some());
        let pod = failing.max_by_key(|pod| (pod.disruption.is_none(), pod.failed_at()))?;
        // The first failure of a pod has the others stopped. Init containers that fail beside main ones are their sidecars.
        let first = pod
            .failing()
            .min_by_key(|container| (container.init, container.finished_at.as_deref()))?;
        Some((pod, first))
    }

    /// What went wrong, in a sentence.
    pub(crate) fn headline(&self) -> Option<String> {
        let taken_away = || {
            let pod = self.pods.iter().find(|pod| pod.disruption.is_some())?;
            let why = pod.disruption.as_deref()?;
            Some(format!("pod {} was taken away ({why})", pod.name))
        };
        match self.culprit() {
            Some((pod, container)) if pod.disruption.is_none() => Some(format!(
                "container {} of pod {} {}",
                container.name,
                pod.name,
                container.words()
            )),
            _ => taken_away(),
        }
    }

    /// The exit code of the container that failed, or zero when containers have ended and none failed.
    pub(crate) fn exit_code(&self) -> Option<i64> {
        match self.culprit() {
            Some((_, culprit)) => culprit.exit_code,
            None => self.exit_code_of_success(),
        }
    }

    /// Zero, once containers have ended, whatever became of pods that were replaced.
    pub(crate) fn exit_code_of_success(&self) -> Option<i64> {
        self.ended().next().map(|_| 0)
    }

    /// The termination message of the container that ended last and left a JSON object.
    pub(crate) fn result(&self) -> Option<Value> {
        let mut left: Vec<_> = self
            .ended()
            .filter_map(|container| {
                let message = container.message.as_deref()?;
                let value: Value = serde_json::from_str(message).ok().filter(Value::is_object)?;
                Some((container.finished_at.clone(), value))
            })
            .collect();
        left.sort_by(|(one, _), (other, _)| one.cmp(other));
        left.pop().map(|(_, value)| value)
    }

    fn ended(&self) -> impl Iterator<Item = &ContainerEvidence> {
        self.pods
            .iter()
            .flat_map(|pod| &pod.containers)
            .filter(|container| container.exit_code.is_some())
    }

    /// All of it, for people.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for pod in &self.pods {
            let mut line = format!("pod {}: {}", pod.name, pod.phase);
            for more in [&pod.reason, &pod.disruption].into_iter().flatten() {
                line.push_str(&format!(", {more}"));
            }
            if let Some(node) = &pod.node {
                line.push_str(&format!(", on node {node}"));
            }
            lines.push(line);
            for container in &pod.containers {
                let kind = if container.init {
                    "init container"
                } else {
                    "container"
                };
                let mut line = format!("  {kind} {} {}", container.name, container.words());
                if container.restarts > 0 {
                    line.push_str(&format!(", restarted {} times", container.restarts));
                }
                if let Some(message) = container
                    .message
                    .as_deref()
                    .map(str::trim)
                    .filter(|message| !message.is_empty())
                {
                    line.push_str(&format!(": {}", message.replace('\n', " ")));
                }
                lines.push(line);
            }
            lines.extend(pod.events.iter().map(|event| format!("  event {event}")));
        }
        lines
    }
}

/// An event of a pod, as a line.
pub(crate) fn event_line(event: &k8s_openapi::api::core::v1::Event) -> (Option<DateTime<Utc>>, String) {
    let reason = event.reason.as_deref().unwrap_or("?");
    let message = event.message.as_deref().unwrap_or_default().replace('\n', " ");
    let text = match event.count {
        Some(count) if count > 1 => format!("{reason} ({count} times): {message}"),
        _ => format!("{reason}: {message}"),
    };
    (seen_at(event), text)
}

fn seen_at(event: &k8s_openapi::api::core::v1::Event) -> Option<DateTime<Utc>> {
    let last = event.last_timestamp.as_ref().map(|at| at.0);
    let micro = event.event_time.as_ref().map(|at| at.0);
    let created = event.metadata.creation_timestamp.as_ref().map(|at| at.0);
    let at = last.or(micro).or(created)?;
    DateTime::parse_from_rfc3339(&at.to_string())
        .ok()
        .map(|at| at.to_utc())
}

#[cfg(test)]
mod tests;
