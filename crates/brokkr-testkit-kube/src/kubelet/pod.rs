//! One pod's life, from its scheduling to its removal.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

use super::Kubelet;
use super::container::{self, Life, Place};
use super::schedule;
use super::spec::{PodSpec, RestartPolicy};
use super::status::{Board, is_final};
use crate::controllers::events::{self, Happening};
use crate::controllers::object;

/// What a pod gets when it does not say.
const GRACE_SECONDS: u64 = 30;

pub(super) struct Pod {
    pub(super) kubelet: Kubelet,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) spec: PodSpec,
    board: Mutex<Board>,
    /// Set once the pod has to end: how long its containers have for that.
    stop: watch::Sender<Option<Duration>>,
}

impl Pod {
    pub(super) fn new(kubelet: Kubelet, pod: &Value) -> Result<Self, serde_json::Error> {
        let spec = PodSpec::of(pod)?;
        Ok(Self {
            kubelet,
            namespace: object::namespace(pod).unwrap_or_default().to_owned(),
            name: object::name(pod).to_owned(),
            uid: object::uid(pod).to_owned(),
            board: Mutex::new(Board::new(&spec)),
            spec,
            stop: watch::Sender::new(None),
        })
    }

    /// Returns once the pod is gone, or only others keep it (by finalizers).
    pub(super) async fn live(&self) {
        let life = async {
            tokio::join!(self.work(), self.wait_for_stop());
            self.kubelet
                .until(|| object::is_deleting(&self.object()?).then_some(()))
                .await;
            self.kubelet.controls.released(|held| held.deletion).await;
            self.kubelet.give_back(&self.namespace, &self.name, &self.uid);
        };
        tokio::select! {
            () = life => {}
            // Deleted without grace: dropping the processes kills them.
            () = self.kubelet.until(|| self.object().is_none().then_some(())) => {}
        }
    }

    async fn wait_for_stop(&self) {
        let asked = || {
            let pod = self.object()?;
            (object::is_deleting(&pod) || is_final(&pod["status"])).then_some(pod)
        };
        let pod = self.kubelet.until(asked).await;
        let grace = if object::is_deleting(&pod) {
            self.kubelet.controls.released(|held| held.deletion).await;
            let seconds = pod["metadata"]["deletionGracePeriodSeconds"].as_u64();
            seconds
                .or(self.spec.termination_grace_period_seconds)
                .unwrap_or(GRACE_SECONDS)
        } else {
            // Evicted: a kubelet under pressure does not ask.
            0
        };
        self.stop.send_replace(Some(Duration::from_secs(grace)));
    }

    async fn work(&self) {
        if self.unless_stopped(schedule::schedule(self)).await.is_none() {
            return;
        }
        self.publish(|_| ());
        let ready = async {
            self.kubelet.controls.released(|held| held.kubelet).await;
            schedule::wait_for_volumes(self).await;
        };
        if self.unless_stopped(ready).await.is_some() && self.initialize().await {
            let lives = self.spec.containers.iter().enumerate().map(|(index, spec)| {
                let life = Life {
                    pod: self,
                    place: Place::Main(index),
                    spec,
                };
                async move { life.run(self.spec.restart_policy).await }
            });
            join_all(lives).await;
        }
        let now = self.now();
        self.publish(|board| {
            board.give_up(now);
            board.over = true;
        });
    }

    /// Runs the init containers one after the other. False when the main ones must not run.
    async fn initialize(&self) -> bool {
        let policy = match self.spec.restart_policy {
            RestartPolicy::Never => RestartPolicy::Never,
            RestartPolicy::Always | RestartPolicy::OnFailure => RestartPolicy::OnFailure,
        };
        for (index, spec) in self.spec.init_containers.iter().enumerate() {
            let life = Life {
                pod: self,
                place: Place::Init(index),
                spec,
            };
            if life.run(policy).await != Some(0) || self.is_stopped() {
                return false;
            }
        }
        true
    }

    /// The pod as it is stored; nothing once it is gone, even when another has its name now.
    pub(super) fn object(&self) -> Option<Value> {
        let pod = self
            .kubelet
            .store
            .get("pods", Some(&self.namespace), &self.name)?;
        (object::uid(&pod) == self.uid).then_some(pod)
    }

    /// Changes what is known of the containers, and shows it in the pod's status.
    pub(super) fn publish(&self, change: impl FnOnce(&mut Board)) {
        let mut board = self.board();
        change(&mut board);
        self.modify(|pod, now| board.write(pod, now));
    }

    pub(super) fn modify(&self, change: impl FnOnce(&mut Value, DateTime<Utc>)) {
        let now = self.now();
        self.kubelet
            .store
            .modify("pods", Some(&self.namespace), &self.name, |pod| {
                if object::uid(pod) == self.uid {
                    change(pod, now);
                }
            });
    }

    pub(super) fn event(&self, severity: &str, reason: &str, message: &str, field: Option<&str>) {
        let happening = Happening {
            severity,
            reason,
            message,
            component: if field.is_some() {
                "kubelet"
            } else {
                "default-scheduler"
            },
            field,
        };
        if let Some(pod) = self.object() {
            events::record(&self.kubelet.store, &pod, happening);
        }
    }

    /// What `work` comes to, unless the pod has to stop before.
    pub(super) async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            _ = self.stopped() => None,
            done = work => Some(done),
        }
    }

    /// Returns once the pod has to stop, with the time its containers get.
    pub(super) async fn stopped(&self) -> Duration {
        let mut stop = self.stop.subscribe();
        // The sender is this value's own, so the wait cannot fail.
        stop.wait_for(Option::is_some)
            .await
            .map_or(None, |grace| *grace)
            .unwrap_or_default()
    }

    /// Returns once this time has passed, or a shorter one from when a later deletion asked for that.
    pub(super) async fn grace_passed(&self, mut grace: Duration) {
        loop {
            let shorter = self.kubelet.until(|| {
                let seconds = self.object()?["metadata"]["deletionGracePeriodSeconds"].as_u64()?;
                Some(Duration::from_secs(seconds)).filter(|shorter| *shorter < grace)
            });
            match timeout(grace, shorter).await {
                Ok(shorter) => grace = shorter,
                Err(_) => return,
            }
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.borrow().is_some()
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.kubelet.store.now()
    }

    /// A directory that the container's next run has for itself.
    pub(super) fn directory_of_run(&self, name: &str) -> PathBuf {
        let root = self.kubelet.directory.path();
        let runs = (0..).map(|run| container::directory(root, &self.uid, name, run));
        let mut unused = runs.skip_while(|directory| directory.exists());
        unused.next().unwrap_or_else(|| root.to_owned())
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The status of a pod that a node has taken.
pub(super) fn bind(pod: &mut Value, node: &str, now: DateTime<Utc>) {
    pod["spec"]["nodeName"] = json!(node);
    let status = &mut pod["status"];
    status["phase"] = json!("Pending");
    status["hostIP"] = json!("10.0.0.1");
    status["podIP"] = json!("10.1.0.1");
    status["startTime"] = json!(object::timestamp(now));
    object::set_condition(status, "PodScheduled", "True", ("", ""), now);
}
