//! What a Job's pods come to: its counts, and its verdict.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::job_pods;
use super::object::{condition, condition_is_true, set_condition, timestamp};

const BACKOFF_LIMIT: u64 = 6;

/// How many pods have ended.
pub(super) struct Counts {
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    /// Of `failed`: those that were not counted before.
    pub(super) newly_failed: u64,
    active: u64,
    /// Restarts of containers, where failed ones are restarted within their pod.
    restarts: u64,
}

impl Counts {
    /// The Job's counts with what has ended since.
    pub(super) fn new(job: &Value, pods: &[Value]) -> Self {
        let counted = |field: &str| job["status"][field].as_u64().unwrap_or(0);
        let mut counts = Self {
            succeeded: counted("succeeded"),
            failed: counted("failed"),
            newly_failed: 0,
            active: 0,
            restarts: 0,
        };
        for pod in pods {
            if job_pods::is_active(pod) {
                counts.active += 1;
                counts.restarts += job_pods::restarts(pod);
            }
            match job_pods::is_uncounted_end(pod) {
                true if job_pods::succeeded(pod) => counts.succeeded += 1,
                true => counts.newly_failed += 1,
                false => {}
            }
        }
        counts.failed += counts.newly_failed;
        counts
    }

    /// How many pods should be active when so many are.
    pub(super) fn pods_wanted(&self, job: &Value, active: usize) -> usize {
        let parallelism =
            usize::try_from(job["spec"]["parallelism"].as_u64().unwrap_or(1)).unwrap_or(usize::MAX);
        match completions(job) {
            Some(completions) => {
                let left = completions.saturating_sub(self.succeeded);
                parallelism.min(usize::try_from(left).unwrap_or(usize::MAX))
            }
            // A work queue: once one has succeeded, no more are started.
            None if self.succeeded > 0 => active,
            None => parallelism,
        }
    }

    /// Writes the counts, with what `pods` are now.
    pub(super) fn write(&self, status: &mut Value, pods: &[Value]) {
        let count = |of: fn(&Value) -> bool| pods.iter().filter(|pod| of(pod)).count() as u64;
        status["ready"] = json!(count(
            |pod| job_pods::is_active(pod) && condition_is_true(pod, "Ready")
        ));
        status["terminating"] = json!(count(job_pods::is_terminating));
        status["uncountedTerminatedPods"] = json!({});
        let active = count(job_pods::is_active);
        // The API leaves these out when they are zero.
        for (field, value) in [
            ("active", active),
            ("succeeded", self.succeeded),
            ("failed", self.failed),
        ] {
            match status.as_object_mut() {
                Some(status) if value == 0 => drop(status.remove(field)),
                _ => status[field] = json!(value),
            }
        }
    }
}

/// Without a number of pods at all, one has to succeed.
fn completions(job: &Value) -> Option<u64> {
    let spec = &job["spec"];
    spec["completions"]
        .as_u64()
        .or(spec["parallelism"].is_null().then_some(1))
}

/// How a Job ends.
pub(super) struct Verdict {
    pub(super) succeeded: bool,
    pub(super) reason: String,
    pub(super) message: String,
}

impl Verdict {
    /// The end that the Job has come to.
    pub(super) fn final_of(job: &Value) -> Option<Self> {
        Self::read(job, "Complete", "Failed")
    }

    /// The end that the Job comes to once its pods are gone.
    pub(super) fn target_of(job: &Value) -> Option<Self> {
        Self::read(job, "SuccessCriteriaMet", "FailureTarget")
    }

    fn read(job: &Value, success: &str, failure: &str) -> Option<Self> {
        [(success, true), (failure, false)]
            .into_iter()
            .find_map(|(kind, succeeded)| {
                let condition = condition(job, kind).filter(|condition| condition["status"] == "True")?;
                Some(Self {
                    succeeded,
                    reason: condition["reason"].as_str().unwrap_or_default().to_owned(),
                    message: condition["message"].as_str().unwrap_or_default().to_owned(),
                })
            })
    }

    /// The end that its counts and its deadline bring, in the controller's order of checks.
    pub(super) fn reach(job: &Value, counts: &Counts, deadline_passed: bool) -> Option<Self> {
        if counts.is_past_limit(job) {
            return Some(Self::failed(
                "BackoffLimitExceeded",
                "Job has reached the specified backoff limit",
            ));
        }
        if deadline_passed {
            return Some(Self::failed(
                "DeadlineExceeded",
                "Job was active longer than specified deadline",
            ));
        }
        let complete = match completions(job) {
            Some(completions) => counts.succeeded >= completions,
            None => counts.succeeded > 0 && counts.active == 0,
        };
        complete.then(|| Self {
            succeeded: true,
            reason: "CompletionsReached".to_owned(),
            message: "Reached expected number of succeeded pods".to_owned(),
        })
    }

    fn failed(reason: &str, message: &str) -> Self {
        Self {
            succeeded: false,
            reason: reason.to_owned(),
            message: message.to_owned(),
        }
    }

    pub(super) fn write_target(&self, status: &mut Value, now: DateTime<Utc>) {
        let kind = if self.succeeded {
            "SuccessCriteriaMet"
        } else {
            "FailureTarget"
        };
        set_condition(status, kind, "True", (&self.reason, &self.message), now);
    }

    pub(super) fn write_end(&self, status: &mut Value, now: DateTime<Utc>) {
        let kind = if self.succeeded { "Complete" } else { "Failed" };
        set_condition(status, kind, "True", (&self.reason, &self.message), now);
        if self.succeeded {
            status["completionTime"] = json!(timestamp(now));
        }
    }
}

impl Counts {
    fn is_past_limit(&self, job: &Value) -> bool {
        let limit = job["spec"]["backoffLimit"].as_u64().unwrap_or(BACKOFF_LIMIT);
        let restarted = self.restarts > 0 && self.restarts >= limit;
        self.failed > limit || (restarted && job["spec"]["template"]["spec"]["restartPolicy"] == "OnFailure")
    }
}
