//! The BuildRun of one attempt.

use std::time::Duration;

use serde_json::{Value, json};

use crate::execute::build::document::{BuildOrder, SHIPWRIGHT};
use crate::kube::labels::Owner;

/// How long a BuildRun is kept at least while the broker may not know its ending. Shipwright's own retention would remove it
/// sooner when its `Build` says so.
const RETENTION: &str = "24h";

/// The BuildRun named `name`, which `owner` answers for, of a `Build` whose own bound on its runs is `build_timeout`.
pub(crate) fn build_run(
    order: &BuildOrder,
    name: &str,
    owner: &Owner,
    deadline_seconds: Option<u64>,
    build_timeout: Option<&str>,
) -> Value {
    let mut spec = json!({
        "build": { "name": order.name },
        "retention": { "ttlAfterFailed": RETENTION, "ttlAfterSucceeded": RETENTION },
    });
    if let Some(account) = &order.service_account {
        spec["serviceAccount"] = json!(account);
    }
    if let Some(seconds) = deadline_seconds
        && !is_shorter(build_timeout, seconds)
    {
        spec["timeout"] = json!(format!("{seconds}s"));
    }
    json!({
        "apiVersion": SHIPWRIGHT, "kind": "BuildRun",
        "metadata": { "name": name, "labels": owner.labels(), "annotations": owner.annotations() },
        "spec": spec,
    })
}

/// Whether a duration as Go writes it is shorter than this many seconds. What cannot be read is not.
fn is_shorter(duration: Option<&str>, seconds: u64) -> bool {
    duration
        .and_then(go_duration)
        .is_some_and(|duration| duration < Duration::from_secs(seconds))
}

/// Reads a duration such as `1h30m` or `2.5m`, as Go's `time.ParseDuration` does, without signs.
fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, behind) = rest.split_at(digits);
        let letters = behind
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(letters);
        let factor = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * factor;
        rest = behind;
    }
    Duration::try_from_secs_f64(seconds).ok()
}

/// The change that asks Shipwright to cancel a run.
pub(crate) fn cancellation() -> Value {
    json!({ "spec": { "state": "BuildRunCanceled" } })
}

/// Selects the pods of a run (Shipwright and Tekton hand the label down).
pub(crate) fn pods_of(run: &str) -> String {
    format!("buildrun.shipwright.io/name={run}")
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::attempt::AttemptId;

    fn run(deadline_seconds: Option<u64>, build_timeout: Option<&str>) -> Value {
        let order = BuildOrder {
            build: None,
            name: "app".to_owned(),
            namespace: None,
            service_account: Some("builder".to_owned()),
            notes: Vec::new(),
        };
        let owner = Owner {
            id: AttemptId {
                order: Uuid::nil(),
                attempt: 2,
            },
            agent: Uuid::nil(),
            document: 1,
        };
        build_run(
            &order,
            "app-000000000000-2",
            &owner,
            deadline_seconds,
            build_timeout,
        )
    }

    #[test]
    fn the_run_names_its_build_its_account_and_its_attempt() {
        let run = run(None, None);
        assert_eq!(run["spec"]["build"]["name"], "app");
        assert_eq!(run["spec"]["serviceAccount"], "builder");
        assert_eq!(run["spec"].get("timeout"), None);
        assert_eq!(run["metadata"]["labels"]["brokkr.io/attempt"], "2");
    }

    #[test]
    fn the_deadline_is_the_timeout_unless_the_builds_own_is_shorter() {
        assert_eq!(run(Some(900), None)["spec"]["timeout"], "900s");
        assert_eq!(run(Some(900), Some("1h30m"))["spec"]["timeout"], "900s");
        assert_eq!(run(Some(900), Some("10m"))["spec"].get("timeout"), None);
        assert_eq!(run(Some(900), Some("soon"))["spec"]["timeout"], "900s");
    }

    #[test]
    fn durations_are_read_as_go_writes_them() {
        let seconds = |text| go_duration(text).map(|duration| duration.as_secs_f64());
        assert_eq!(seconds("1h30m0s"), Some(5400.0));
        assert_eq!(seconds("2.5m"), Some(150.0));
        assert_eq!(seconds("300ms"), Some(0.3));
        assert_eq!(seconds("15"), None);
        assert_eq!(seconds("m"), None);
    }
}
