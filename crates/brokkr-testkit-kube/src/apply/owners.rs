//! `metadata.managedFields`: who owns which fields.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::fields::{FieldSet, Path};

/// Somebody who writes fields. One client is two writers when it both applies and updates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Writer {
    pub(crate) manager: String,
    pub(crate) operation: Operation,
    pub(crate) api_version: String,
    pub(crate) subresource: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Apply,
    Update,
}

impl Writer {
    fn is(&self, other: &Self) -> bool {
        self.manager == other.manager
            && self.operation == other.operation
            && self.subresource == other.subresource
    }
}

/// As apimachinery's `printManager` writes it, but without the time of updates.
impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.manager)?;
        if let Some(subresource) = &self.subresource {
            write!(f, " with subresource {subresource:?}")?;
        }
        match self.operation {
            Operation::Apply => Ok(()),
            Operation::Update => write!(f, " using {}", self.api_version),
        }
    }
}

/// All owners of an object's fields.
#[derive(Debug)]
pub(super) struct Owners(Vec<Entry>);

#[derive(Debug, Clone)]
struct Entry {
    writer: Writer,
    time: Value,
    fields: FieldSet,
}

impl Owners {
    pub(super) fn of(object: &Value) -> Self {
        let entries = object["metadata"]["managedFields"].as_array();
        Self(entries.into_iter().flatten().map(Entry::read).collect())
    }

    /// The fields that others own and that `is_disputed` picks. A field that several own is there several times.
    pub(super) fn disputes(
        &self,
        writer: &Writer,
        is_disputed: impl Fn(&Path) -> bool,
    ) -> Vec<(Writer, Path)> {
        let others = self.0.iter().filter(|entry| !entry.writer.is(writer));
        others
            .flat_map(|entry| entry.fields.iter().map(move |path| (&entry.writer, path)))
            .filter(|(_, path)| is_disputed(path))
            .map(|(owner, path)| (owner.clone(), path.clone()))
            .collect()
    }

    /// Takes a field from everybody but `writer`.
    pub(super) fn release(&mut self, writer: &Writer, path: &Path) {
        for entry in self.0.iter_mut().filter(|entry| !entry.writer.is(writer)) {
            entry.fields.remove(path);
        }
    }

    /// Takes fields that are gone from everybody.
    pub(super) fn forget(&mut self, gone: &FieldSet) {
        for entry in &mut self.0 {
            entry.fields = entry.fields.without(gone);
        }
    }

    /// Gives `writer` fields that it has just changed, and nobody else keeps them.
    pub(super) fn take(&mut self, writer: &Writer, changed: FieldSet) {
        self.forget(&changed);
        if !changed.is_empty() {
            self.entry(writer).fields.add(changed);
        }
    }

    /// Makes `fields` all that `writer` owns, and answers what it owned before.
    pub(super) fn replace(&mut self, writer: &Writer, fields: FieldSet) -> FieldSet {
        let entry = self.entry(writer);
        entry.writer.api_version.clone_from(&writer.api_version);
        std::mem::replace(&mut entry.fields, fields)
    }

    /// Whether anybody owns a field, or something in it.
    pub(super) fn owns_within(&self, path: &Path) -> bool {
        self.0
            .iter()
            .any(|entry| entry.fields.iter().any(|owned| owned.starts_with(path)))
    }

    fn entry(&mut self, writer: &Writer) -> &mut Entry {
        let at = self
            .0
            .iter()
            .position(|entry| entry.writer.is(writer))
            .unwrap_or(self.0.len());
        if at == self.0.len() {
            self.0.push(Entry {
                writer: writer.clone(),
                time: Value::Null,
                fields: FieldSet::default(),
            });
        }
        &mut self.0[at]
    }

    /// Puts the owners into `object`. A write that changes nothing keeps the times, so that it remains none.
    pub(super) fn write(mut self, object: &mut Value, live: &Value, writer: &Writer, now: DateTime<Utc>) {
        self.0.retain(|entry| !entry.fields.is_empty());
        if !object["metadata"].is_object() {
            object["metadata"] = json!({});
        }
        let before = &live["metadata"]["managedFields"];
        let kept: Vec<_> = self.0.iter().map(Entry::to_json).collect();
        object["metadata"]["managedFields"] = before.clone();
        let changed = *object != *live || *before != Value::Array(kept.clone());
        let mut written = kept;
        if changed {
            for entry in self.0.iter_mut().filter(|entry| entry.writer.is(writer)) {
                entry.time = json!(now.to_rfc3339_opts(SecondsFormat::Secs, true));
            }
            written = self.0.iter().map(Entry::to_json).collect();
        }
        object["metadata"]["managedFields"] = Value::Array(written);
    }
}

impl Entry {
    fn read(entry: &Value) -> Self {
        let text = |field: &str| entry[field].as_str().map(str::to_owned);
        Self {
            writer: Writer {
                manager: text("manager").unwrap_or_default(),
                operation: if entry["operation"] == "Apply" {
                    Operation::Apply
                } else {
                    Operation::Update
                },
                api_version: text("apiVersion").unwrap_or_default(),
                subresource: text("subresource"),
            },
            time: entry["time"].clone(),
            fields: FieldSet::from_json(&entry["fieldsV1"]),
        }
    }

    fn to_json(&self) -> Value {
        let mut entry = json!({
            "manager": self.writer.manager,
            "operation": if self.writer.operation == Operation::Apply { "Apply" } else { "Update" },
            "apiVersion": self.writer.api_version,
            "time": self.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": self.fields.to_json(),
        });
        if let Some(subresource) = &self.writer.subresource {
            entry["subresource"] = json!(subresource);
        }
        entry
    }
}
