//! What the kubelet says of a pod: the states of its containers, and what follows from them.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::spec::{ContainerSpec, PodSpec};
use crate::controllers::object::{set_condition, timestamp};

/// How a container's last run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Terminated {
    pub(super) exit_code: i32,
    pub(super) reason: &'static str,
    pub(super) message: String,
    pub(super) started_at: DateTime<Utc>,
    pub(super) finished_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Waiting { reason: &'static str, message: String },
    Running { started_at: DateTime<Utc> },
    Terminated(Terminated),
}

#[derive(Debug, Clone)]
pub(super) struct Container {
    name: String,
    image: String,
    pub(super) state: State,
    pub(super) before: Option<Terminated>,
    pub(super) restarts: u32,
}

impl Container {
    fn new(spec: &ContainerSpec, reason: &'static str) -> Self {
        Self {
            name: spec.name.clone(),
            image: spec.image.clone(),
            state: State::waiting(reason),
            before: None,
            restarts: 0,
        }
    }

    fn succeeded(&self) -> bool {
        matches!(&self.state, State::Terminated(end) if end.exit_code == 0)
    }

    fn runs(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    fn view(&self, pod_uid: &str, init: bool) -> Value {
        let id = format!("fake://{pod_uid}/{}/{}", self.name, self.restarts);
        let started = !matches!(self.state, State::Waiting { .. });
        let mut view = json!({
            "name": self.name,
            "image": self.image,
            "imageID": if started { format!("fake://{}", self.image) } else { String::new() },
            "ready": if init { self.succeeded() } else { self.runs() },
            "started": self.runs(),
            "restartCount": self.restarts,
            "state": self.state.view(&id),
            "lastState": self.before.as_ref().map_or(json!({}), |end| end.view(&id)),
        });
        if started {
            view["containerID"] = json!(id);
        }
        view
    }
}

impl State {
    pub(super) fn waiting(reason: &'static str) -> Self {
        Self::Waiting {
            reason,
            message: String::new(),
        }
    }

    fn view(&self, id: &str) -> Value {
        match self {
            Self::Waiting { reason, message } if message.is_empty() => json!({"waiting": {"reason": reason}}),
            Self::Waiting { reason, message } => json!({"waiting": {"reason": reason, "message": message}}),
            Self::Running { started_at } => json!({"running": {"startedAt": timestamp(*started_at)}}),
            Self::Terminated(end) => end.view(id),
        }
    }
}

impl Terminated {
    fn view(&self, id: &str) -> Value {
        let mut view = json!({
            "exitCode": self.exit_code,
            "reason": self.reason,
            "startedAt": timestamp(self.started_at),
            "finishedAt": timestamp(self.finished_at),
            "containerID": id,
        });
        if !self.message.is_empty() {
            view["message"] = json!(self.message);
        }
        json!({"terminated": view})
    }
}

/// The containers of one pod.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) init: Vec<Container>,
    pub(super) main: Vec<Container>,
    /// No container will be started any more.
    pub(super) over: bool,
}

impl Board {
    pub(super) fn new(spec: &PodSpec) -> Self {
        let reason = if spec.init_containers.is_empty() {
            "ContainerCreating"
        } else {
            "PodInitializing"
        };
        let all = |specs: &[ContainerSpec]| specs.iter().map(|spec| Container::new(spec, reason)).collect();
        Self {
            init: all(&spec.init_containers),
            main: all(&spec.containers),
            over: false,
        }
    }

    /// Says of containers that never ran what a kubelet says of those it cannot find any more.
    pub(super) fn give_up(&mut self, now: DateTime<Utc>) {
        for container in self.init.iter_mut().chain(&mut self.main) {
            if matches!(container.state, State::Waiting { .. }) {
                container.state = State::Terminated(Terminated {
                    exit_code: 137,
                    reason: "ContainerStatusUnknown",
                    message: "The container could not be located when the pod was terminated".to_owned(),
                    started_at: DateTime::UNIX_EPOCH,
                    finished_at: now,
                });
            }
        }
    }

    fn initialized(&self) -> bool {
        self.init.iter().all(Container::succeeded)
    }

    fn phase(&self) -> &'static str {
        let started = |container: &Container| {
            container.restarts > 0
                || container.before.is_some()
                || !matches!(container.state, State::Waiting { .. })
        };
        match (self.over, self.initialized()) {
            (true, true) if self.main.iter().all(Container::succeeded) => "Succeeded",
            (true, _) => "Failed",
            (false, true) if self.main.iter().all(started) => "Running",
            (false, _) => "Pending",
        }
    }

    /// Writes everything into the pod, except that a phase that is final stays as it is.
    pub(super) fn write(&self, pod: &mut Value, now: DateTime<Utc>) {
        let uid = pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        let views = |all: &[Container], init| all.iter().map(|one| one.view(&uid, init)).collect::<Vec<_>>();
        let status = &mut pod["status"];
        if !is_final(status) {
            status["phase"] = json!(self.phase());
        }
        if !self.init.is_empty() {
            status["initContainerStatuses"] = json!(views(&self.init, true));
        }
        status["containerStatuses"] = json!(views(&self.main, false));
        self.write_conditions(status, now);
    }

    fn write_conditions(&self, status: &mut Value, now: DateTime<Utc>) {
        let unready = match status["phase"].as_str() {
            Some("Succeeded") => "PodCompleted",
            Some("Failed") => "PodFailed",
            _ => "ContainersNotReady",
        };
        let mut set = |kind: &str, met: bool, reason| match met {
            true => set_condition(status, kind, "True", ("", ""), now),
            false => set_condition(status, kind, "False", (reason, ""), now),
        };
        set("PodReadyToStartContainers", !self.over, "");
        set("Initialized", self.initialized(), "ContainersNotInitialized");
        let ready = self.initialized() && self.main.iter().all(Container::runs);
        set("Ready", ready, unready);
        set("ContainersReady", ready, unready);
    }
}

/// Whether a pod with this status has ended.
pub(super) fn is_final(status: &Value) -> bool {
    matches!(status["phase"].as_str(), Some("Succeeded" | "Failed"))
}
