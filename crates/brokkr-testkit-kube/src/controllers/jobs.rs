//! Jobs, by the rules of Kubernetes 1.33: counted by finalizers, ended in two steps (a target first, the end once all
//! pods are gone). Pods are not indexed, and there is no pod failure policy.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::events::{self, Happening};
use super::job_pods;
use super::job_status::{Counts, Verdict};
use super::object::{self, condition_is_true, set_condition, timestamp};
use super::sooner;
use crate::store::{Propagation, Store};

/// Before the pod of a failed one is replaced; ten seconds at a real controller. It doubles with each failure.
const BACKOFF: TimeDelta = TimeDelta::milliseconds(20);
const BACKOFF_DOUBLINGS_MAX: u32 = 4;

/// The Job controller, with what it knows more exactly than the Jobs' own times say.
pub(super) struct Jobs {
    store: Store,
    started: HashMap<String, DateTime<Utc>>,
    not_before: HashMap<String, DateTime<Utc>>,
}

impl Jobs {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            started: HashMap::new(),
            not_before: HashMap::new(),
        }
    }

    /// Brings every Job further. Returns how soon it has to look again, whatever happens.
    pub(super) fn reconcile(&mut self) -> Option<Duration> {
        let mut due = None;
        for job in self.store.list("jobs", None) {
            due = sooner(due, self.sync(&job));
        }
        job_pods::release_abandoned(&self.store);
        due
    }

    fn sync(&mut self, job: &Value) -> Option<Duration> {
        let now = self.store.now();
        let pods = job_pods::of(&self.store, job);
        let mut status = job["status"].clone();
        if !status.is_object() {
            status = json!({});
        }
        if Verdict::final_of(job).is_some() {
            job_pods::release(&self.store, pods.iter());
            return self.expire(job, now);
        }
        let uncounted: Vec<&Value> = pods
            .iter()
            .filter(|pod| job_pods::is_uncounted_end(pod))
            .collect();
        let counts = Counts::new(job, &pods);
        if counts.newly_failed > 0 {
            let doublings = u32::try_from(counts.failed)
                .unwrap_or_default()
                .clamp(1, BACKOFF_DOUBLINGS_MAX)
                - 1;
            self.not_before
                .insert(object::uid(job).to_owned(), now + BACKOFF * 2_i32.pow(doublings));
        }
        let due = if job["spec"]["suspend"] == true {
            self.suspend(job, &mut status, &pods, now);
            None
        } else {
            self.start(job, &mut status, now);
            self.advance(job, &mut status, &pods, &counts, now)
        };
        counts.write(&mut status, &job_pods::of(&self.store, job));
        if self.write(job, &status) {
            job_pods::release(&self.store, uncounted.into_iter());
        }
        due
    }

    fn start(&mut self, job: &Value, status: &mut Value, now: DateTime<Utc>) {
        if status["startTime"].is_null() {
            status["startTime"] = json!(timestamp(now));
            self.started.insert(object::uid(job).to_owned(), now);
        }
        if condition_is_true(job, "Suspended") {
            set_condition(status, "Suspended", "False", ("JobResumed", "Job resumed"), now);
        }
    }

    fn suspend(&mut self, job: &Value, status: &mut Value, pods: &[Value], now: DateTime<Utc>) {
        job_pods::delete(&self.store, pods.iter().filter(|pod| job_pods::is_active(pod)));
        if let Some(status) = status.as_object_mut() {
            status.remove("startTime");
        }
        self.started.remove(object::uid(job));
        set_condition(
            status,
            "Suspended",
            "True",
            ("JobSuspended", "Job suspended"),
            now,
        );
    }

    /// Creates or deletes pods, and ends the Job when it is time.
    fn advance(
        &self,
        job: &Value,
        status: &mut Value,
        pods: &[Value],
        counts: &Counts,
        now: DateTime<Utc>,
    ) -> Option<Duration> {
        let deadline = self.time_left(job, now);
        let passed = deadline.is_some_and(|left| left.is_zero());
        if let Some(verdict) = Verdict::target_of(job).or_else(|| Verdict::reach(job, counts, passed)) {
            let active: Vec<&Value> = pods.iter().filter(|pod| job_pods::is_active(pod)).collect();
            job_pods::delete(&self.store, active.iter().copied());
            verdict.write_target(status, now);
            if job_pods::of(&self.store, job).iter().all(job_pods::has_ended) {
                verdict.write_end(status, now);
                self.tell_end(job, &verdict);
            }
            return None;
        }
        if object::is_deleting(job) {
            return deadline;
        }
        sooner(deadline, self.match_parallelism(job, pods, counts, now))
    }

    fn match_parallelism(
        &self,
        job: &Value,
        pods: &[Value],
        counts: &Counts,
        now: DateTime<Utc>,
    ) -> Option<Duration> {
        let active: Vec<&Value> = pods.iter().filter(|pod| job_pods::is_active(pod)).collect();
        let wanted = counts.pods_wanted(job, active.len());
        match wanted.cmp(&active.len()) {
            Ordering::Less => job_pods::delete(&self.store, active[wanted..].iter().copied()),
            Ordering::Equal => {}
            Ordering::Greater => {
                let not_before = self.not_before.get(object::uid(job)).copied().unwrap_or(now);
                let wait = (not_before - now).to_std().unwrap_or_default();
                if !wait.is_zero() {
                    return Some(wait);
                }
                for _ in active.len()..wanted {
                    job_pods::create(&self.store, job);
                }
            }
        }
        None
    }

    fn time_left(&self, job: &Value, now: DateTime<Utc>) -> Option<Duration> {
        let seconds = job["spec"]["activeDeadlineSeconds"].as_i64()?;
        let started = self.started.get(object::uid(job)).copied();
        let started = started
            .or_else(|| object::time(&job["status"]["startTime"]))
            .unwrap_or(now);
        Some(
            (started + TimeDelta::seconds(seconds) - now)
                .to_std()
                .unwrap_or_default(),
        )
    }

    /// Deletes a Job whose time after its end is over.
    fn expire(&self, job: &Value, now: DateTime<Utc>) -> Option<Duration> {
        let seconds = job["spec"]["ttlSecondsAfterFinished"].as_i64()?;
        if object::is_deleting(job) {
            return None;
        }
        let ended = ["Complete", "Failed"]
            .iter()
            .filter_map(|kind| object::condition(job, kind));
        let ended_at = ended
            .filter_map(|end| object::time(&end["lastTransitionTime"]))
            .max()?;
        let left = (ended_at + TimeDelta::seconds(seconds) - now)
            .to_std()
            .unwrap_or_default();
        if left.is_zero() {
            object::delete(&self.store, "jobs", job, Propagation::Foreground);
            return None;
        }
        Some(left)
    }

    fn tell_end(&self, job: &Value, verdict: &Verdict) {
        events::record(
            &self.store,
            job,
            Happening {
                severity: if verdict.succeeded { "Normal" } else { "Warning" },
                reason: if verdict.succeeded {
                    "Completed"
                } else {
                    &verdict.reason
                },
                message: if verdict.succeeded {
                    "Job completed"
                } else {
                    &verdict.message
                },
                component: "job-controller",
                field: None,
            },
        );
    }

    /// False when the Job was changed meanwhile: then everything has to be thought over.
    fn write(&self, job: &Value, status: &Value) -> bool {
        let mut written = false;
        self.store
            .modify("jobs", object::namespace(job), object::name(job), |stored| {
                if object::uid(stored) == object::uid(job) && stored["status"] == job["status"] {
                    stored["status"] = status.clone();
                    written = true;
                }
            });
        written
    }
}
