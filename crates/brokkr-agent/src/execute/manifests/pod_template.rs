//! Where the kinds that run pods describe them.

use serde_json::{Value, json};

use crate::kube::Kind;

/// The path of the pod's description in objects of this kind, as a JSON pointer.
fn spec_pointer(kind: &Kind) -> Option<&'static str> {
    match (kind.resource.group.as_str(), kind.resource.kind.as_str()) {
        ("", "Pod") => Some("/spec"),
        ("", "PodTemplate") => Some("/template/spec"),
        ("batch", "CronJob") => Some("/spec/jobTemplate/spec/template/spec"),
        ("batch", "Job")
        | ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
        | ("", "ReplicationController") => Some("/spec/template/spec"),
        _ => None,
    }
}

/// Gives pods that name no service account this one. Answers whether there are such pods.
pub(super) fn default_service_account(kind: &Kind, object: &mut Value, account: &str) -> bool {
    let spec = spec_pointer(kind).and_then(|pointer| object.pointer_mut(pointer));
    let Some(Value::Object(spec)) = spec else {
        return false;
    };
    // The older name of the field still counts.
    let named = ["serviceAccountName", "serviceAccount"].into_iter().any(|field| {
        spec.get(field)
            .and_then(Value::as_str)
            .is_some_and(|account| !account.is_empty())
    });
    if !named {
        spec.insert("serviceAccountName".to_owned(), json!(account));
    }
    !named
}

#[cfg(test)]
mod tests {
    use ::kube::api::ApiResource;
    use rstest::rstest;

    use super::*;

    fn kind(group: &str, kind: &str) -> Kind {
        Kind {
            resource: ApiResource {
                group: group.to_owned(),
                version: "v1".to_owned(),
                api_version: String::new(),
                kind: kind.to_owned(),
                plural: kind.to_lowercase(),
            },
            namespaced: true,
        }
    }

    #[rstest]
    #[case::pod(kind("", "Pod"), json!({"spec": {}}), json!({"spec": {"serviceAccountName": "runner"}}))]
    #[case::job(
        kind("batch", "Job"),
        json!({"spec": {"template": {"spec": {"serviceAccountName": ""}}}}),
        json!({"spec": {"template": {"spec": {"serviceAccountName": "runner"}}}})
    )]
    #[case::cron_job(
        kind("batch", "CronJob"),
        json!({"spec": {"jobTemplate": {"spec": {"template": {"spec": {}}}}}}),
        json!({"spec": {"jobTemplate": {"spec": {"template": {"spec": {"serviceAccountName": "runner"}}}}}})
    )]
    #[case::named(
        kind("apps", "Deployment"),
        json!({"spec": {"template": {"spec": {"serviceAccountName": "web"}}}}),
        json!({"spec": {"template": {"spec": {"serviceAccountName": "web"}}}})
    )]
    #[case::named_as_of_old(kind("", "Pod"), json!({"spec": {"serviceAccount": "web"}}), json!({"spec": {"serviceAccount": "web"}}))]
    #[case::no_pods(kind("", "ConfigMap"), json!({"spec": {}}), json!({"spec": {}}))]
    fn pods_that_name_no_service_account_get_the_default(
        #[case] kind: Kind,
        #[case] submitted: Value,
        #[case] sent: Value,
    ) {
        let mut object = submitted.clone();
        let given = default_service_account(&kind, &mut object, "runner");
        assert_eq!(object, sent);
        assert_eq!(given, object != submitted);
    }
}
