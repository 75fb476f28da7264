//! Jobs as they are created: for one attempt, and never longer than it may take.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::document::{Document, ManifestError, Name};
use crate::kube::Kind;
use crate::kube::labels::Owner;

/// How long a Job stays after it has ended, in seconds: long enough to store what happened, and for people to look at it.
pub(crate) const EVIDENCE_SECONDS: u64 = 3600;
/// What the Job controller labels a Job's pods with. In a Job that was copied from a cluster they belong to the original.
const CONTROLLER_LABELS: [&str; 4] = [
    "controller-uid",
    "job-name",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-name",
];
/// What the metadata of an object may be extended with, and what is wrong when it cannot be.
const LABELS: (&str, &str) = ("labels", "has labels that are not a mapping");
const ANNOTATIONS: (&str, &str) = ("annotations", "has annotations that are not a mapping");
/// The longest name of an object (`k8s.io/apimachinery/pkg/util/validation`, `DNS1123SubdomainMaxLength`).
const NAME_CHARS_MAX: usize = 253;

/// Whether objects of this kind are Jobs.
pub(crate) fn is_job(kind: &Kind) -> bool {
    kind.resource.group == "batch" && kind.resource.kind == "Job"
}

/// Makes the submitted Job one that can be created for an attempt. `object` is the document's, named already. Answers what was
/// changed about it that its author may not expect.
pub(super) fn prepare(
    document: &Document,
    object: &mut Value,
    owner: &Owner,
    deadline_seconds: Option<u64>,
) -> Result<Vec<String>, ManifestError> {
    refuse_what_cannot_run(document)?;
    let mut notes = Vec::new();
    let Value::Object(job) = object else {
        return Err(document.field_error("spec", "is missing"));
    };
    job.remove("status");
    label(document, job, "", owner)?;
    extend(document, job, "", ANNOTATIONS, owner.annotations())?;
    let spec = mapping(document, job, "spec")?;
    if spec.remove("selector").is_some() {
        notes.push("spec.selector was left out, since the cluster makes it".to_owned());
    }
    if let Some(seconds) = deadline_seconds {
        lower_deadline(document, spec, seconds, &mut notes)?;
    }
    raise_ttl(document, spec, &mut notes)?;
    let Some(Value::Object(template)) = spec.get_mut("template") else {
        return Err(document.field_error("spec.template", "is not the description of a pod"));
    };
    label(document, template, "spec.template.", owner)?;
    Ok(notes)
}

fn refuse_what_cannot_run(document: &Document) -> Result<(), ManifestError> {
    let is_true = |pointer| document.object.pointer(pointer) == Some(&Value::Bool(true));
    if is_true("/spec/suspend") {
        return Err(document.field_error("spec.suspend", "is true, so that the Job would never run"));
    }
    if is_true("/spec/manualSelector") {
        return Err(document.field_error(
            "spec.manualSelector",
            "is true, so that the Job could count the pods of other attempts as its own",
        ));
    }
    let owners = document.object.pointer("/metadata/ownerReferences");
    if owners
        .and_then(Value::as_array)
        .is_some_and(|owners| !owners.is_empty())
    {
        return Err(document.field_error(
            "metadata.ownerReferences",
            "would have the Job deleted with its owner, before its outcome is known",
        ));
    }
    let (field, name) = match &document.name {
        Name::Given(name) => ("metadata.name", name.as_str()),
        Name::Prefix(prefix) => ("metadata.generateName", prefix.trim_end_matches(['-', '.'])),
    };
    if !is_dns_name(name) {
        return Err(document.field_error(
            field,
            "is no name for a Job: those have lower case letters, digits, '-' and '.' (RFC 1123)",
        ));
    }
    Ok(())
}

/// Whether this is a DNS subdomain as RFC 1123 has it (`IsDNS1123Subdomain`).
fn is_dns_name(name: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let label = |label: &str| {
        label.starts_with(alphanumeric)
            && label.ends_with(alphanumeric)
            && label.chars().all(|c| alphanumeric(c) || c == '-')
    };
    name.len() <= NAME_CHARS_MAX && name.split('.').all(label)
}

/// Puts our labels on the Job or on its pods, in the place of those that a controller has left there.
fn label(
    document: &Document,
    object: &mut Map<String, Value>,
    path: &str,
    owner: &Owner,
) -> Result<(), ManifestError> {
    let labelled = extend(document, object, path, LABELS, owner.labels())?;
    for left_over in CONTROLLER_LABELS {
        labelled.remove(left_over);
    }
    Ok(())
}

/// Adds to the labels or the annotations of an object, and answers all of them.
fn extend<'object>(
    document: &Document,
    object: &'object mut Map<String, Value>,
    path: &str,
    (what, problem): (&str, &'static str),
    more: BTreeMap<String, String>,
) -> Result<&'object mut Map<String, Value>, ManifestError> {
    let mut extended = object;
    for name in ["metadata", what] {
        let inner = extended.entry(name).or_insert(Value::Null);
        if inner.is_null() {
            *inner = json!({});
        }
        let Value::Object(inner) = inner else {
            return Err(document.field_error(format!("{path}metadata"), problem));
        };
        extended = inner;
    }
    extended.extend(more.into_iter().map(|(key, value)| (key, value.into())));
    Ok(extended)
}

/// A Job runs no longer than its order's attempts may.
fn lower_deadline(
    document: &Document,
    spec: &mut Map<String, Value>,
    seconds: u64,
    notes: &mut Vec<String>,
) -> Result<(), ManifestError> {
    const FIELD: &str = "activeDeadlineSeconds";
    match whole_seconds(document, spec, FIELD)? {
        Some(submitted) if submitted <= seconds => return Ok(()),
        Some(submitted) => notes.push(format!(
            "spec.{FIELD} was lowered from {submitted} to {seconds}, the deadline of the order"
        )),
        None => {}
    }
    spec.insert(FIELD.to_owned(), seconds.into());
    Ok(())
}

/// A Job stays until what happened is stored.
fn raise_ttl(
    document: &Document,
    spec: &mut Map<String, Value>,
    notes: &mut Vec<String>,
) -> Result<(), ManifestError> {
    const FIELD: &str = "ttlSecondsAfterFinished";
    let submitted = whole_seconds(document, spec, FIELD)?;
    if let Some(submitted) = submitted.filter(|submitted| *submitted < EVIDENCE_SECONDS) {
        notes.push(format!(
            "spec.{FIELD} was raised from {submitted} to {EVIDENCE_SECONDS}, so that the Job stays until what happened is stored"
        ));
        spec.insert(FIELD.to_owned(), EVIDENCE_SECONDS.into());
    }
    Ok(())
}

fn whole_seconds(
    document: &Document,
    spec: &Map<String, Value>,
    field: &str,
) -> Result<Option<u64>, ManifestError> {
    match spec.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(seconds) => Ok(Some(seconds)),
            None => Err(document.field_error(format!("spec.{field}"), "is not a number of whole seconds")),
        },
    }
}

fn mapping<'a>(
    document: &Document,
    map: &'a mut Map<String, Value>,
    name: &str,
) -> Result<&'a mut Map<String, Value>, ManifestError> {
    match map.get_mut(name) {
        Some(Value::Object(inner)) => Ok(inner),
        Some(_) => Err(document.field_error(name, "is not a mapping")),
        None => Err(document.field_error(name, "is missing")),
    }
}

#[cfg(test)]
mod tests;
