//! What a BuildRun's condition `Succeeded` says about the attempt.
//!
//! Conditions and reasons are those of Shipwright's v1beta1 API (`BuildRunStatus`).

use brokkr_api::FailureClass;
use serde_json::{Value, json};

use crate::execute::{Failure, Outcome};

/// How a BuildRun ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BuildEnd {
    /// The image is built and pushed.
    Succeeded,
    /// It is not, for this reason.
    Failed {
        /// The reason of the condition.
        reason: String,
        /// Its message.
        message: String,
    },
}

/// The end of a BuildRun, once it has one. A condition of status `Unknown` is none.
pub(crate) fn end(run: &Value) -> Option<BuildEnd> {
    let conditions = run.pointer("/status/conditions")?.as_array()?;
    let succeeded = conditions
        .iter()
        .find(|condition| text(condition, "/type") == "Succeeded")?;
    match text(succeeded, "/status") {
        "True" => Some(BuildEnd::Succeeded),
        "False" => Some(BuildEnd::Failed {
            reason: text(succeeded, "/reason").to_owned(),
            message: text(succeeded, "/message").to_owned(),
        }),
        _ => None,
    }
}

/// The outcome of a BuildRun that pushed its image.
pub(crate) fn success(run: &Value) -> Outcome {
    let result = result(run);
    let message = match (result["digest"].as_str(), result["image"].as_str()) {
        (Some(digest), _) => digest.to_owned(),
        (None, Some(image)) => format!("built {image}, whose digest the cluster did not report"),
        (None, None) => "built; the cluster reported neither image nor digest".to_owned(),
    };
    Outcome::Success {
        message: Some(message),
        exit_code: None,
        result: Some(result),
    }
}

/// Image, digest, size in bytes and commit; what the cluster did not report is null.
fn result(run: &Value) -> Value {
    let image = ["/spec/output/image", "/status/buildSpec/output/image"]
        .into_iter()
        .find_map(|path| run.pointer(path));
    json!({
        "image": image,
        "digest": run.pointer("/status/output/digest"),
        "size_bytes": run.pointer("/status/output/size"),
        "commit": run.pointer("/status/source/git/commitSha"),
        "build_run": run.pointer("/metadata/name"),
    })
}

/// The outcome of a BuildRun that failed; `seen` is the class that its pods speak for, if they had to do with it.
pub(crate) fn failure(run: &Value, reason: &str, message: &str, seen: Option<FailureClass>) -> Outcome {
    let name = text(run, "/metadata/name");
    let details = run.pointer("/status/failureDetails");
    let place = details
        .map(|details| {
            let (pod, container) = (
                text(details, "/location/pod"),
                text(details, "/location/container"),
            );
            match (pod, container) {
                ("", _) => String::new(),
                (pod, "") => format!(" in pod {pod}"),
                (pod, container) => format!(" in container {container} of pod {pod}"),
            }
        })
        .unwrap_or_default();
    let why = details
        .map(|details| text(details, "/message"))
        .filter(|why| !why.is_empty())
        .unwrap_or(message);
    let detailed_reason = details
        .map(|details| text(details, "/reason"))
        .filter(|reason| !reason.is_empty())
        .unwrap_or(reason);
    Outcome::Failure(Failure {
        class: class(reason, seen),
        message: format!("BuildRun {name} failed{place}: {detailed_reason}: {why}"),
        exit_code: None,
        result: Some(json!({
            "build_run": name,
            "reason": detailed_reason,
            "message": why,
            "pod": details.and_then(|details| details.pointer("/location/pod")),
            "container": details.and_then(|details| details.pointer("/location/container")),
        })),
    })
}

/// The class of a failed BuildRun, by the reason of its condition (Shipwright, `buildrun_types.go` and `resources/conditions.go`).
fn class(reason: &str, seen: Option<FailureClass>) -> FailureClass {
    match reason {
        "BuildRunTimeout" => FailureClass::Deadline,
        "BuildRunCanceled" => FailureClass::Cancelled,
        "PodEvicted" | "TaskRunIsMissing" => FailureClass::Infrastructure,
        // What the Build or the BuildRun names is not there, or does not fit: the same order would fail again.
        "BuildNotFound"
        | "BuildRegistrationFailed"
        | "BuildRunNameInvalid"
        | "BuildRunNoRefOrSpec"
        | "BuildRunAmbiguousBuild"
        | "BuildRunBuildFieldOverrideForbidden"
        | "BuildStrategyNotFound"
        | "ClusterBuildStrategyNotFound"
        | "UnknownStrategyKind"
        | "UndefinedParameter"
        | "MissingParameterValues"
        | "RestrictedParametersInUse"
        | "WrongParameterValueType"
        | "InconsistentParameterValues"
        | "IncompleteConfigMapValueParameterValues"
        | "IncompleteSecretValueParameterValues"
        | "EmptyArrayItemParameterValues"
        | "ServiceAccountNotFound"
        | "VolumeDoesNotExist"
        | "VolumeNotOverridable"
        | "UndefinedVolume" => FailureClass::Refused,
        _ => seen.unwrap_or(FailureClass::Work),
    }
}

fn text<'value>(value: &'value Value, path: &str) -> &'value str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(status: Value) -> Value {
        json!({ "metadata": { "name": "app-1a2b3c4d5e6f-1" }, "spec": { "build": { "name": "app" } }, "status": status })
    }

    fn with_condition(status: &str, reason: &str) -> Value {
        run(json!({ "conditions": [
            { "type": "Other", "status": "True" },
            { "type": "Succeeded", "status": status, "reason": reason, "message": "as it says" },
        ] }))
    }

    #[test]
    fn a_run_has_an_end_only_when_its_condition_is_true_or_false() {
        assert_eq!(end(&run(json!({}))), None);
        assert_eq!(end(&with_condition("Unknown", "Running")), None);
        assert_eq!(
            end(&with_condition("True", "Succeeded")),
            Some(BuildEnd::Succeeded)
        );
        assert!(matches!(
            end(&with_condition("False", "Failed")),
            Some(BuildEnd::Failed { reason, .. }) if reason == "Failed"
        ));
    }

    #[test]
    fn a_success_names_image_digest_size_and_commit_and_its_message_is_the_digest() {
        let run = run(json!({
            "buildSpec": { "output": { "image": "registry.test/app:1" } },
            "output": { "digest": "sha256:77", "size": 1234 },
            "source": { "git": { "commitSha": "c0ffee" } },
        }));
        let Outcome::Success { message, result, .. } = success(&run) else {
            panic!("not a success");
        };
        assert_eq!(message.as_deref(), Some("sha256:77"));
        let result = result.unwrap();
        assert_eq!(result["image"], "registry.test/app:1");
        assert_eq!(result["size_bytes"], 1234);
        assert_eq!(result["commit"], "c0ffee");
    }

    #[test]
    fn a_failure_names_pod_container_and_reason() {
        let run = run(json!({ "failureDetails": {
            "reason": "GitRemotePrivate", "message": "the source is private",
            "location": { "pod": "app-x-pod", "container": "step-source-default" },
        } }));
        let Outcome::Failure(failure) = failure(&run, "Failed", "a step failed", None) else {
            panic!("not a failure");
        };
        assert_eq!(failure.class, FailureClass::Work);
        assert_eq!(
            failure.message,
            "BuildRun app-1a2b3c4d5e6f-1 failed in container step-source-default of pod app-x-pod: GitRemotePrivate: the source is private"
        );
    }

    #[test]
    fn the_class_follows_the_reason_and_then_the_pods() {
        assert_eq!(class("BuildRunTimeout", None), FailureClass::Deadline);
        assert_eq!(class("BuildRunCanceled", None), FailureClass::Cancelled);
        assert_eq!(class("PodEvicted", None), FailureClass::Infrastructure);
        assert_eq!(class("ClusterBuildStrategyNotFound", None), FailureClass::Refused);
        assert_eq!(class("Failed", None), FailureClass::Work);
        assert_eq!(
            class("Failed", Some(FailureClass::Infrastructure)),
            FailureClass::Infrastructure
        );
    }
}
