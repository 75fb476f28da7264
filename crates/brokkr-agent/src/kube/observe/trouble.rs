//! What keeps pods from running, when it does not go away by itself.

use std::collections::HashMap;
use std::time::Duration;

use brokkr_api::FailureClass;
use k8s_openapi::api::core::v1::Pod;
use tokio::time::Instant;

/// What does not heal unless somebody changes something is told sooner, by this factor.
const SOONER: u32 = 4;

/// A pod that cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) pod: String,
    pub(crate) container: Option<String>,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) class: FailureClass,
}

/// Reasons why a container waits that belong together, since a kubelet goes back and forth between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// The image cannot be had now (`ErrImagePull`, `ImagePullBackOff`, `RegistryUnavailable`).
    Pull,
    /// The container cannot be made as it is described.
    Description,
    /// No node fits.
    Unschedulable,
}

impl Cause {
    /// Of a waiting container, by its reason (kubelet `images/types.go`, `kuberuntime`).
    fn of(reason: &str) -> Option<Self> {
        match reason {
            "ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable" | "ImageInspectError" => {
                Some(Self::Pull)
            }
            "InvalidImageName"
            | "ErrImageNeverPull"
            | "CreateContainerConfigError"
            | "CreateContainerError"
            | "RunContainerError"
            | "SignatureValidationFailed" => Some(Self::Description),
            _ => None,
        }
    }

    fn class(self) -> FailureClass {
        match self {
            Self::Pull | Self::Unschedulable => FailureClass::Infrastructure,
            Self::Description => FailureClass::Work,
        }
    }

    fn limit(self, stuck_limit: Duration) -> Duration {
        match self {
            Self::Pull | Self::Unschedulable => stuck_limit,
            Self::Description => stuck_limit / SOONER,
        }
    }
}

/// Since when which pods have been stuck.
#[derive(Debug, Default)]
pub(super) struct Stuck(HashMap<String, (Cause, Instant, Trouble)>);

impl Stuck {
    /// Takes the present state of a pod into account.
    pub(super) fn note(&mut self, uid: &str, pod: &Pod, now: Instant) {
        let Some((cause, trouble)) = find(pod) else {
            self.0.remove(uid);
            return;
        };
        let since = match self.0.get(uid) {
            Some((earlier, since, _)) if *earlier == cause => *since,
            _ => now,
        };
        self.0.insert(uid.to_owned(), (cause, since, trouble));
    }

    /// The pod is gone.
    pub(super) fn forget(&mut self, uid: &str) {
        self.0.remove(uid);
    }

    /// What has lasted for too long, or else when to look again.
    pub(super) fn judge(&self, stuck_limit: Duration, now: Instant) -> Result<Trouble, Option<Instant>> {
        let mut next = None;
        for (cause, since, trouble) in self.0.values() {
            let due = *since + cause.limit(stuck_limit);
            if due <= now {
                return Ok(trouble.clone());
            }
            next = Some(next.map_or(due, |next: Instant| next.min(due)));
        }
        Err(next)
    }
}

fn find(pod: &Pod) -> Option<(Cause, Trouble)> {
    let status = pod.status.as_ref()?;
    if pod.metadata.deletion_timestamp.is_some()
        || matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"))
    {
        return None;
    }
    let name = pod.metadata.name.clone().unwrap_or_default();
    let trouble = |container: Option<String>, reason: &str, message: Option<String>, cause: Cause| {
        let trouble = Trouble {
            pod: name.clone(),
            container,
            reason: reason.to_owned(),
            message: message.unwrap_or_default(),
            class: cause.class(),
        };
        (cause, trouble)
    };
    let containers = status
        .init_container_statuses
        .iter()
        .chain(&status.container_statuses)
        .flatten();
    for container in containers {
        let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref());
        let Some((waiting, reason)) = waiting.and_then(|waiting| Some((waiting, waiting.reason.as_deref()?)))
        else {
            continue;
        };
        if let Some(cause) = Cause::of(reason) {
            return Some(trouble(
                Some(container.name.clone()),
                reason,
                waiting.message.clone(),
                cause,
            ));
        }
    }
    let scheduled = status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == "PodScheduled")?;
    (scheduled.status == "False" && scheduled.reason.as_deref() == Some("Unschedulable")).then(|| {
        trouble(
            None,
            "Unschedulable",
            scheduled.message.clone(),
            Cause::Unschedulable,
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn waiting(reason: &str) -> Pod {
        let container = json!({
            "name": "app", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "waiting": { "reason": reason, "message": "as it says" } },
        });
        pod(json!({ "phase": "Pending", "containerStatuses": [container] }))
    }

    fn pod(status: Value) -> Pod {
        serde_json::from_value(json!({ "metadata": { "name": "work-x" }, "status": status })).unwrap()
    }

    #[test]
    fn a_pod_is_in_trouble_once_its_cause_has_lasted_for_the_limit() {
        let (mut stuck, begun) = (Stuck::default(), Instant::now());
        stuck.note("1", &waiting("ErrImagePull"), begun);
        assert_eq!(stuck.judge(LIMIT, begun), Err(Some(begun + LIMIT)));
        stuck.note("1", &waiting("ImagePullBackOff"), begun + LIMIT / 2);
        let trouble = stuck.judge(LIMIT, begun + LIMIT).unwrap();
        assert_eq!(trouble.reason, "ImagePullBackOff");
        assert_eq!(trouble.class, FailureClass::Infrastructure);
        assert_eq!(trouble.container.as_deref(), Some("app"));
    }

    #[test]
    fn what_has_healed_is_no_trouble() {
        let (mut stuck, begun) = (Stuck::default(), Instant::now());
        stuck.note("1", &waiting("ErrImagePull"), begun);
        stuck.note("1", &waiting("ContainerCreating"), begun);
        assert_eq!(stuck.judge(LIMIT, begun + LIMIT), Err(None));
    }

    #[test]
    fn a_container_that_is_described_wrongly_is_told_sooner() {
        let (mut stuck, begun) = (Stuck::default(), Instant::now());
        stuck.note("1", &waiting("CreateContainerConfigError"), begun);
        let trouble = stuck.judge(LIMIT, begun + LIMIT / 4).unwrap();
        assert_eq!(trouble.class, FailureClass::Work);
    }

    #[test]
    fn a_pod_that_no_node_fits_is_in_trouble() {
        let (mut stuck, begun) = (Stuck::default(), Instant::now());
        let condition =
            json!({ "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1" });
        stuck.note(
            "1",
            &pod(json!({ "phase": "Pending", "conditions": [condition] })),
            begun,
        );
        let trouble = stuck.judge(LIMIT, begun + LIMIT).unwrap();
        assert_eq!(
            (trouble.reason.as_str(), trouble.container),
            ("Unschedulable", None)
        );
    }
}
