//! The defaults of the API, as far as clients and controllers see them (`SetDefaults_*` of each group).

use serde_json::{Value, json};

use crate::resources::Resource;

/// Fills in what `object` leaves open; what only a new object gets is filled in when it is `new`.
pub(super) fn fill(resource: &Resource, object: &mut Value, new: bool) {
    match resource.plural.as_str() {
        "namespaces" => namespace(object, new),
        "pods" => pod(object, new),
        "jobs" => job(object, new),
        "cronjobs" => cron_job(&mut object["spec"]),
        "deployments" | "statefulsets" | "replicasets" => replicated(&mut object["spec"]),
        "daemonsets" => pod_spec(&mut object["spec"]["template"]["spec"]),
        "services" => service(&mut object["spec"]),
        "secrets" => secret(object),
        "persistentvolumeclaims" if new => object["status"] = json!({"phase": "Pending"}),
        _ => {}
    }
}

fn absent(object: &mut Value, field: &str, value: Value) {
    if object.is_object() && object[field].is_null() {
        object[field] = value;
    }
}

fn namespace(object: &mut Value, new: bool) {
    let name = object["metadata"]["name"].clone();
    if object["metadata"]["labels"].is_null() {
        object["metadata"]["labels"] = json!({});
    }
    object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
    if new {
        object["spec"]["finalizers"] = json!(["kubernetes"]);
        object["status"]["phase"] = json!("Active");
    }
}

fn pod(object: &mut Value, new: bool) {
    pod_spec(&mut object["spec"]);
    if new && object["status"]["phase"].is_null() {
        object["status"]["phase"] = json!("Pending");
        object["status"]["qosClass"] = json!("BestEffort");
    }
}

fn pod_spec(spec: &mut Value) {
    absent(spec, "restartPolicy", json!("Always"));
    absent(spec, "terminationGracePeriodSeconds", json!(30));
    absent(spec, "dnsPolicy", json!("ClusterFirst"));
    absent(spec, "schedulerName", json!("default-scheduler"));
    absent(spec, "securityContext", json!({}));
    for field in ["initContainers", "containers"] {
        for container in spec[field].as_array_mut().into_iter().flatten() {
            absent(container, "terminationMessagePath", json!("/dev/termination-log"));
            absent(container, "terminationMessagePolicy", json!("File"));
            absent(container, "resources", json!({}));
            let policy = pull_policy(container["image"].as_str().unwrap_or_default());
            absent(container, "imagePullPolicy", json!(policy));
            ports(container);
        }
    }
}

fn pull_policy(image: &str) -> &'static str {
    let name = image.rsplit('/').next().unwrap_or_default();
    let tagged = name.contains('@') || name.split_once(':').is_some_and(|(_, tag)| tag != "latest");
    if tagged { "IfNotPresent" } else { "Always" }
}

fn ports(holder: &mut Value) {
    for port in holder["ports"].as_array_mut().into_iter().flatten() {
        absent(port, "protocol", json!("TCP"));
    }
}

fn job(object: &mut Value, new: bool) {
    let (name, uid) = (
        object["metadata"]["name"].clone(),
        object["metadata"]["uid"].clone(),
    );
    let spec = &mut object["spec"];
    if !spec.is_object() {
        return;
    }
    job_spec(spec);
    if new && spec["manualSelector"] != true {
        spec["selector"] = json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}});
        let ours = [
            ("batch.kubernetes.io/controller-uid", &uid),
            ("batch.kubernetes.io/job-name", &name),
            ("controller-uid", &uid),
            ("job-name", &name),
        ];
        if spec["template"].is_object() {
            for (label, value) in ours {
                spec["template"]["metadata"]["labels"][label] = value.clone();
            }
        }
    }
}

fn job_spec(spec: &mut Value) {
    if spec["completions"].is_null() && spec["parallelism"].is_null() {
        absent(spec, "completions", json!(1));
    }
    absent(spec, "parallelism", json!(1));
    absent(spec, "backoffLimit", json!(6));
    absent(spec, "completionMode", json!("NonIndexed"));
    absent(spec, "suspend", json!(false));
    absent(spec, "podReplacementPolicy", json!("TerminatingOrFailed"));
    if spec["template"]["spec"].is_object() {
        pod_spec(&mut spec["template"]["spec"]);
    }
}

fn cron_job(spec: &mut Value) {
    absent(spec, "concurrencyPolicy", json!("Allow"));
    absent(spec, "suspend", json!(false));
    absent(spec, "successfulJobsHistoryLimit", json!(3));
    absent(spec, "failedJobsHistoryLimit", json!(1));
    if spec["jobTemplate"]["spec"]["template"]["spec"].is_object() {
        pod_spec(&mut spec["jobTemplate"]["spec"]["template"]["spec"]);
    }
}

fn replicated(spec: &mut Value) {
    absent(spec, "replicas", json!(1));
    absent(spec, "revisionHistoryLimit", json!(10));
    if spec["template"]["spec"].is_object() {
        pod_spec(&mut spec["template"]["spec"]);
    }
}

fn service(spec: &mut Value) {
    absent(spec, "type", json!("ClusterIP"));
    absent(spec, "sessionAffinity", json!("None"));
    ports(spec);
    for port in spec["ports"].as_array_mut().into_iter().flatten() {
        let same = port["port"].clone();
        absent(port, "targetPort", same);
    }
}

/// What is written as text is kept encoded, and not kept as text.
fn secret(object: &mut Value) {
    absent(object, "type", json!("Opaque"));
    let Some(Value::Object(texts)) = object
        .as_object_mut()
        .and_then(|object| object.remove("stringData"))
    else {
        return;
    };
    absent(object, "data", json!({}));
    for (key, text) in texts {
        object["data"][key] = json!(base64(text.as_str().unwrap_or_default().as_bytes()));
    }
}

/// RFC 4648's standard alphabet, padded.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0_usize, |bits, at| {
            bits << 8 | usize::from(chunk.get(at).copied().unwrap_or(0))
        });
        for at in 0..4 {
            let letter = ALPHABET[bits >> (18 - 6 * at) & 0x3f];
            text.push(if at <= chunk.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_encoded() {
        assert_eq!(base64(b"password"), "cGFzc3dvcmQ=");
        assert_eq!(base64(b"ab"), "YWI=");
        assert_eq!(base64(b"abc"), "YWJj");
        assert_eq!(base64(b""), "");
    }

    #[test]
    fn images_without_a_tag_or_with_the_latest_are_pulled_always() {
        for image in ["busybox", "busybox:latest", "host:5000/busybox"] {
            assert_eq!(pull_policy(image), "Always", "{image}");
        }
        for image in ["busybox:1.36", "host:5000/busybox:1", "busybox@sha256:00"] {
            assert_eq!(pull_policy(image), "IfNotPresent", "{image}");
        }
    }
}
