//! Shipwright's Builds and BuildRuns: a run is one pod whose steps are shell scripts that the test gives.
//!
//! There is no Tekton: a BuildRun owns its pod itself, and the steps run side by side. The states, reasons and fields
//! are those of shipwright.io/v1beta1.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::controls::Controls;
use super::object::{self, condition, set_condition, timestamp};
use super::{BuildScript, job_pods, sooner};
use crate::store::{Propagation, Store};

/// Brings every BuildRun further. Returns how soon it has to look again, whatever happens.
pub(super) fn reconcile(store: &Store, controls: &Controls) -> Option<Duration> {
    for build in store.list("builds", None) {
        let status =
            json!({"registered": "True", "reason": "Succeeded", "message": "all validations succeeded"});
        write(store, "builds", &build, status);
    }
    let mut due = None;
    for run in store.list("buildruns", None) {
        let ended = condition(&run, "Succeeded").is_some_and(|succeeded| succeeded["status"] != "Unknown");
        if !ended && !object::is_deleting(&run) {
            let progress = Progress::of(store, &run);
            let (status, wait) = progress.advance(&controls.build_script());
            write(store, "buildruns", &run, status);
            due = sooner(due, wait);
        }
    }
    due
}

/// One BuildRun that has not ended.
struct Progress<'a> {
    store: &'a Store,
    run: &'a Value,
    status: Value,
    now: DateTime<Utc>,
}

impl<'a> Progress<'a> {
    fn of(store: &'a Store, run: &'a Value) -> Self {
        let mut status = run["status"].clone();
        if !status.is_object() {
            status = json!({});
        }
        let now = store.now();
        Self {
            store,
            run,
            status,
            now,
        }
    }

    fn advance(mut self, script: &BuildScript) -> (Value, Option<Duration>) {
        let Some(build) = self.build() else {
            let name = &self.run["spec"]["build"]["name"];
            self.end(
                "False",
                "BuildNotFound",
                &format!("build.shipwright.io {name} not found"),
            );
            return (self.status, None);
        };
        if self.status["startTime"].is_null() {
            self.status["startTime"] = json!(timestamp(self.now));
            self.status["buildSpec"] = build.clone();
        }
        let pod = job_pods::of(self.store, self.run).pop();
        if self.run["spec"]["state"] == "BuildRunCanceled" {
            self.stop(
                pod.as_ref(),
                "BuildRunCanceled",
                "the BuildRun is marked canceled",
            );
            return (self.status, None);
        }
        let left = self.time_left(&build);
        if left.is_some_and(|left| left.is_zero()) {
            let message = format!(
                "BuildRun {} failed to finish within its timeout",
                object::name(self.run)
            );
            self.stop(pod.as_ref(), "BuildRunTimeout", &message);
            return (self.status, None);
        }
        match pod {
            Some(pod) => self.follow(&pod, script),
            None if self.status["taskRunName"].is_null() => self.begin(script),
            None => self.end("False", "TaskRunIsMissing", "the pod of the BuildRun is gone"),
        }
        (self.status, left)
    }

    /// The spec of what is built.
    fn build(&self) -> Option<Value> {
        let build = &self.run["spec"]["build"];
        match build["name"].as_str() {
            Some(name) => {
                let build = self.store.get("builds", object::namespace(self.run), name)?;
                Some(build["spec"].clone())
            }
            None => build.get("spec").cloned(),
        }
    }

    fn begin(&mut self, script: &BuildScript) {
        let task = format!("{}-task", object::name(self.run));
        self.status["taskRunName"] = json!(task);
        self.status["executor"] = json!({"kind": "TaskRun", "name": task});
        self.say("Unknown", "Pending", "Pending");
        // The name is generated, and the namespace holds the run: nothing can be in the way but its end.
        let _ = self.store.create("pods", pod(self.run, &task, script));
    }

    fn follow(&mut self, pod: &Value, script: &BuildScript) {
        match pod["status"]["phase"].as_str() {
            Some("Succeeded") => {
                self.status["output"] = json!({"digest": script.digest, "size": script.size_bytes});
                self.status["source"] = json!({"git": {"commitSha": script.commit, "branchName": "main"}});
                self.end("True", "Succeeded", "All Steps have completed executing");
            }
            Some("Failed") => self.fail(pod, script),
            Some("Running") => self.say(
                "Unknown",
                "Running",
                "Not all Steps in the Task have finished executing",
            ),
            _ => self.say("Unknown", "Pending", "Pending"),
        }
    }

    fn fail(&mut self, pod: &Value, script: &BuildScript) {
        let name = object::name(pod);
        if pod["status"]["reason"] == "Evicted" {
            self.end("False", "PodEvicted", &format!("the pod {name} was evicted"));
            return;
        }
        let steps = pod["status"]["containerStatuses"].as_array();
        let failed = |step: &&Value| step["state"]["terminated"]["exitCode"] != 0;
        let step = steps
            .into_iter()
            .flatten()
            .find(failed)
            .cloned()
            .unwrap_or_default();
        let container = step["name"].as_str().unwrap_or_default();
        self.status["failureDetails"] = json!({"location": {"pod": name, "container": container}});
        if let Some((reason, message)) = &script.error {
            self.status["failureDetails"]["reason"] = json!(reason);
            self.status["failureDetails"]["message"] = json!(message);
        }
        if step["state"]["terminated"]["reason"] == "OOMKilled" {
            let message = format!("buildrun step {container} failed due to out-of-memory in pod {name}");
            self.end("False", "StepOutOfMemory", &message);
        } else {
            self.end(
                "False",
                "Failed",
                &format!("buildrun step {container} failed in pod {name}"),
            );
        }
    }

    fn stop(&mut self, pod: Option<&Value>, reason: &str, message: &str) {
        match pod.filter(|pod| !job_pods::has_ended(pod)) {
            Some(pod) => {
                self.say("Unknown", reason, message);
                if !object::is_deleting(pod) {
                    object::delete(self.store, "pods", pod, Propagation::Background);
                }
            }
            None => self.end("False", reason, message),
        }
    }

    fn say(&mut self, succeeded: &str, reason: &str, message: &str) {
        set_condition(
            &mut self.status,
            "Succeeded",
            succeeded,
            (reason, message),
            self.now,
        );
    }

    fn end(&mut self, succeeded: &str, reason: &str, message: &str) {
        self.say(succeeded, reason, message);
        self.status["completionTime"] = json!(timestamp(self.now));
    }

    fn time_left(&self, build: &Value) -> Option<Duration> {
        let timeout = self.run["spec"]["timeout"]
            .as_str()
            .or(build["timeout"].as_str())?;
        let started = object::time(&self.status["startTime"])?;
        Some(
            (started + duration(timeout)? - self.now)
                .to_std()
                .unwrap_or_default(),
        )
    }
}

/// Hours, minutes and seconds as Go writes them.
fn duration(text: &str) -> Option<TimeDelta> {
    let parts = text.split_inclusive(|letter: char| letter.is_ascii_alphabetic());
    parts
        .map(|part| {
            let (number, unit) = part.split_at(part.len().checked_sub(1)?);
            let number = number.parse().ok()?;
            match unit {
                "h" => TimeDelta::try_hours(number),
                "m" => TimeDelta::try_minutes(number),
                "s" => TimeDelta::try_seconds(number),
                _ => None,
            }
        })
        .sum()
}

fn pod(run: &Value, task: &str, script: &BuildScript) -> Value {
    let step = |(name, script): &(String, String)| json!({"name": name, "image": "busybox", "command": ["sh", "-c", script]});
    let mut labels = run["metadata"]["labels"].clone();
    if !labels.is_object() {
        labels = json!({});
    }
    labels["buildrun.shipwright.io/name"] = run["metadata"]["name"].clone();
    labels["build.shipwright.io/name"] = run["spec"]["build"]["name"].clone();
    labels["tekton.dev/taskRun"] = json!(task);
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": format!("{task}-pod-"),
            "namespace": run["metadata"]["namespace"],
            "labels": labels,
            "ownerReferences": [object::controller_reference(run)],
        },
        "spec": {
            "restartPolicy": "Never",
            "serviceAccountName": run["spec"]["serviceAccount"].as_str().unwrap_or("default"),
            "terminationGracePeriodSeconds": 30,
            "containers": script.steps.iter().map(step).collect::<Vec<_>>(),
        },
    })
}

fn write(store: &Store, resource: &str, object: &Value, status: Value) {
    store.modify(
        resource,
        object::namespace(object),
        object::name(object),
        |stored| {
            if object::uid(stored) == object::uid(object) && stored["status"] == object["status"] {
                stored["status"] = status;
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_go_writes_them() {
        assert_eq!(duration("1h30m5s"), Some(TimeDelta::seconds(5405)));
        assert_eq!(duration("900s"), Some(TimeDelta::minutes(15)));
        assert_eq!(duration("soon"), None);
    }
}
