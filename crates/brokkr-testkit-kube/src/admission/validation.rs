//! The checks of the API, as far as clients run into them.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::resources::Resource;
use crate::status::Cause;

/// The length of a DNS label, and of a label's value.
const LABEL_MAX: usize = 63;
/// The length of a DNS subdomain, and so of most names.
const SUBDOMAIN_MAX: usize = 253;

/// Everything that is wrong with `object`, which is to replace `live` if there is one.
pub(super) fn problems(resource: &Resource, object: &Value, live: Option<&Value>) -> Vec<Cause> {
    let mut problems = Vec::new();
    metadata(resource, &object["metadata"], &mut problems);
    match resource.plural.as_str() {
        "pods" => {
            pod_spec(&object["spec"], "spec", &mut problems);
            if let Some(live) = live {
                pod_change(&object["spec"], &live["spec"], &mut problems);
            }
        }
        "jobs" => {
            job(&object["spec"], "spec", &mut problems);
            if let Some(live) = live {
                unchanged(
                    object,
                    live,
                    &["selector", "template", "completionMode"],
                    &mut problems,
                );
            }
        }
        "cronjobs" => {
            required(&object["spec"]["schedule"], "spec.schedule", &mut problems);
            job(
                &object["spec"]["jobTemplate"]["spec"],
                "spec.jobTemplate.spec",
                &mut problems,
            );
        }
        "deployments" | "statefulsets" | "daemonsets" | "replicasets" => {
            workload(&object["spec"], &mut problems);
            if let Some(live) = live {
                unchanged(object, live, &["selector"], &mut problems);
            }
        }
        "configmaps" | "secrets" => data(object, live, &mut problems),
        "services" => service(&object["spec"], &mut problems),
        _ => {}
    }
    problems
}

fn metadata(resource: &Resource, metadata: &Value, problems: &mut Vec<Cause>) {
    let name = metadata["name"].as_str().unwrap_or_default();
    let right = match resource.plural.as_str() {
        "namespaces" | "services" => is_label(name),
        // Only what would not fit into a path is refused.
        _ if resource.group == "rbac.authorization.k8s.io" => {
            !matches!(name, "." | "..") && !name.contains(['/', '%'])
        }
        _ => is_subdomain(name),
    };
    if !right {
        let why = "a lowercase RFC 1123 name must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
        problems.push(Cause::invalid("metadata.name", &metadata["name"], why));
    }
    labels(&metadata["labels"], "metadata.labels", problems);
    if metadata["annotations"]
        .as_object()
        .into_iter()
        .flatten()
        .any(|(_, value)| !value.is_string())
    {
        problems.push(Cause::invalid(
            "metadata.annotations",
            &metadata["annotations"],
            "must be strings",
        ));
    }
}

fn labels(labels: &Value, field: &str, problems: &mut Vec<Cause>) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        let name = match key.split_once('/') {
            Some((prefix, name)) if is_subdomain(prefix) => name,
            Some(_) => "",
            None => key,
        };
        if name.is_empty() || !is_label_value(name) {
            problems.push(Cause::invalid(
                field,
                &Value::from(key.as_str()),
                "a qualified name is needed",
            ));
        }
        if !value.as_str().is_some_and(is_label_value) {
            let why = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', \
                       and must be no more than 63 bytes";
            problems.push(Cause::invalid(field, value, why));
        }
    }
}

fn is_label(name: &str) -> bool {
    name.len() <= LABEL_MAX && !name.contains('.') && is_subdomain(name)
}

fn is_subdomain(name: &str) -> bool {
    let inside = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    let is_part = |part: &str| {
        !part.is_empty() && !part.starts_with('-') && !part.ends_with('-') && part.chars().all(inside)
    };
    name.len() <= SUBDOMAIN_MAX && name.split('.').all(is_part)
}

fn is_label_value(value: &str) -> bool {
    let edge = |letter: Option<char>| letter.is_none_or(|letter| letter.is_ascii_alphanumeric());
    let inside = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    value.len() <= LABEL_MAX
        && edge(value.chars().next())
        && edge(value.chars().last())
        && value.chars().all(inside)
}

fn required(value: &Value, field: &str, problems: &mut Vec<Cause>) {
    if value.is_null() || value.as_str().is_some_and(str::is_empty) {
        problems.push(Cause::required(field));
    }
}

fn job(spec: &Value, path: &str, problems: &mut Vec<Cause>) {
    for field in [
        "parallelism",
        "completions",
        "backoffLimit",
        "activeDeadlineSeconds",
        "ttlSecondsAfterFinished",
    ] {
        if spec[field].as_i64().is_some_and(|number| number < 0) {
            let why = "must be greater than or equal to 0";
            problems.push(Cause::invalid(format!("{path}.{field}"), &spec[field], why));
        }
    }
    let template = &spec["template"];
    let path = format!("{path}.template");
    labels(
        &template["metadata"]["labels"],
        &format!("{path}.labels"),
        problems,
    );
    pod_spec(&template["spec"], &format!("{path}.spec"), problems);
    if !matches!(
        template["spec"]["restartPolicy"].as_str(),
        Some("Never" | "OnFailure")
    ) {
        problems.push(Cause {
            message: r#"Required value: valid values: "OnFailure", "Never""#.to_owned(),
            ..Cause::required(format!("{path}.spec.restartPolicy"))
        });
    }
}

fn workload(spec: &Value, problems: &mut Vec<Cause>) {
    let template = &spec["template"];
    let selected = spec["selector"]["matchLabels"].as_object();
    if selected.is_none() && !spec["selector"]["matchExpressions"].is_array() {
        problems.push(Cause::required("spec.selector"));
    }
    let labelled = |(key, value): (&String, &Value)| template["metadata"]["labels"][key] == *value;
    if !selected.into_iter().flatten().all(labelled) {
        let why = "`selector` does not match template `labels`";
        problems.push(Cause::invalid(
            "spec.template.metadata.labels",
            &template["metadata"]["labels"],
            why,
        ));
    }
    labels(&template["metadata"]["labels"], "spec.template.labels", problems);
    pod_spec(&template["spec"], "spec.template.spec", problems);
    if template["spec"]["restartPolicy"] != "Always" {
        let field = "spec.template.spec.restartPolicy";
        problems.push(Cause::unsupported(
            field,
            &template["spec"]["restartPolicy"],
            &["Always"],
        ));
    }
}

fn pod_spec(spec: &Value, path: &str, problems: &mut Vec<Cause>) {
    let containers = spec["containers"].as_array().map_or(&[][..], Vec::as_slice);
    if containers.is_empty() {
        problems.push(Cause::required(format!("{path}.containers")));
    }
    let policies = ["Always", "OnFailure", "Never"];
    if !policies.iter().any(|policy| spec["restartPolicy"] == *policy) {
        problems.push(Cause::unsupported(
            format!("{path}.restartPolicy"),
            &spec["restartPolicy"],
            &policies,
        ));
    }
    let mut names = BTreeSet::new();
    for (list, containers) in [
        (
            "initContainers",
            spec["initContainers"].as_array().map_or(&[][..], Vec::as_slice),
        ),
        ("containers", containers),
    ] {
        for (at, container) in containers.iter().enumerate() {
            container_spec(container, &format!("{path}.{list}[{at}]"), &mut names, problems);
        }
    }
}

fn container_spec(container: &Value, path: &str, names: &mut BTreeSet<String>, problems: &mut Vec<Cause>) {
    required(&container["image"], &format!("{path}.image"), problems);
    let field = format!("{path}.name");
    let name = container["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        problems.push(Cause::required(field));
    } else if !is_label(name) {
        problems.push(Cause::invalid(
            field,
            &container["name"],
            "a lowercase RFC 1123 label is needed",
        ));
    } else if !names.insert(name.to_owned()) {
        problems.push(Cause::duplicate(field, &container["name"]));
    }
}

/// Of a pod's spec, only these change (core/v1 `ValidatePodUpdate`).
fn pod_change(spec: &Value, live: &Value, problems: &mut Vec<Cause>) {
    let fixed = |spec: &Value| {
        let mut spec = spec.clone();
        for list in ["containers", "initContainers"] {
            for container in spec[list].as_array_mut().into_iter().flatten() {
                container["image"] = Value::Null;
            }
        }
        if let Some(fields) = spec.as_object_mut() {
            for field in [
                "activeDeadlineSeconds",
                "tolerations",
                "terminationGracePeriodSeconds",
                "nodeName",
            ] {
                fields.remove(field);
            }
        }
        spec
    };
    if fixed(spec) != fixed(live) {
        problems.push(Cause {
            reason: "FieldValueForbidden",
            message: "Forbidden: pod updates may not change fields other than `spec.containers[*].image`"
                .to_owned(),
            field: "spec".to_owned(),
        });
    }
}

fn unchanged(object: &Value, live: &Value, fields: &[&str], problems: &mut Vec<Cause>) {
    for field in fields {
        if object["spec"][field] != live["spec"][field] {
            let path = format!("spec.{field}");
            problems.push(Cause::invalid(path, &object["spec"][field], "field is immutable"));
        }
    }
}

fn data(object: &Value, live: Option<&Value>, problems: &mut Vec<Cause>) {
    for field in ["data", "binaryData"] {
        for (key, value) in object[field].as_object().into_iter().flatten() {
            if !value.is_string() {
                problems.push(Cause::invalid(
                    format!("{field}[{key}]"),
                    value,
                    "must be a string",
                ));
            }
        }
    }
    let Some(live) = live.filter(|live| live["immutable"] == true) else {
        return;
    };
    for field in ["data", "binaryData", "immutable"] {
        if object[field] != live[field] {
            problems.push(Cause {
                reason: "FieldValueForbidden",
                message: "Forbidden: field is immutable when `immutable` is set".to_owned(),
                field: field.to_owned(),
            });
        }
    }
}

fn service(spec: &Value, problems: &mut Vec<Cause>) {
    let ports = spec["ports"].as_array().map_or(&[][..], Vec::as_slice);
    let headless = spec["clusterIP"] == "None" || spec["type"] == "ExternalName";
    if ports.is_empty() && !headless {
        problems.push(Cause::required("spec.ports"));
    }
    for (at, port) in ports.iter().enumerate() {
        if !port["port"]
            .as_i64()
            .is_some_and(|port| (1..=65535).contains(&port))
        {
            let why = "must be between 1 and 65535, inclusive";
            problems.push(Cause::invalid(
                format!("spec.ports[{at}].port"),
                &port["port"],
                why,
            ));
        }
    }
}
